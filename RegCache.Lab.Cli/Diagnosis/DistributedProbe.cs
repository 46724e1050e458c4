using System.Diagnostics;
using RegCache.Lab.Distributed;
using RegCache.Lab.Reports;
using TorchSharp;

namespace RegCache.Lab.Cli.Diagnosis;

/// <summary>The processes of a job: who they are, how fast they reach each other, and whether they fit together. All of them take part.</summary>
internal static class DistributedProbe
{
    private const int Rounds = 5;
    private const long ShortBytes = 1 << 20, LongBytes = 1 << 26;
    private const double LeastGigabytes = 0.1, MostSkewSeconds = 1;

    /// <summary>Measures, and gives what the first process tells.</summary>
    public static IReadOnlyList<DiagnosisLine> Find()
    {
        if (Processes.Launched == 1)
        {
            return
            [
                new("processes", "1: start several with mpirun -np 4 ./lab doctor --distributed, or with srun"),
                new("MPI", Transport(), Problem: MpiGroup.Version is null),
            ];
        }

        var group = Processes.Current;
        var machines = group.GatherTexts(group.Machine);
        var devices = group.GatherTexts(torch.cuda.is_available() ? $"GPU {Processes.TakeGpu().index}" : "processor");
        group = Processes.Current;
        var cores = group.GatherNumbers(Processes.Cores, Environment.ProcessorCount);
        var versions = group.GatherTexts($"regcache {KitVersions.Current["regcache"]}, {group.Transport}");
        var latency = Fastest(group, 8);
        var (small, large) = (Rate(group, ShortBytes), Rate(group, LongBytes));
        var skew = Skew(group);
        var counts = machines.CountBy(name => name).ToList();
        var isUnlike = versions.Distinct().Count() > 1;
        var slow = large < LeastGigabytes ? ": the network is slow, check which interface MPI uses (--mca btl_tcp_if_include)" : "";
        return
        [
            new("processes", string.Join(", ", counts.Select(one => $"{one.Value} on {one.Key}")), counts.Select(one => one.Value).Distinct().Count() > 1),
            new("by", isUnlike ? $"unlike: {string.Join("; ", versions.Distinct())}: install the same on all machines" : versions[0], isUnlike),
            .. Enumerable.Range(0, group.Size).Select(rank => new DiagnosisLine(
                $"process {rank}", Invariant($"{machines[rank]}, {devices[rank]}, {cores[rank][0]:0} of {cores[rank][1]:0} cores that it may use"))),
            new("latency", Invariant($"{latency * 1e6:0.0} microseconds for the sum of one number")),
            new("all-reduce", Invariant($"{small:0.00} GB/s with 1 MiB, {large:0.00} GB/s with 64 MiB{slow}"), large < LeastGigabytes),
            new("clocks", Invariant($"{skew * 1000:0.0} ms apart at most{(skew > MostSkewSeconds ? ": set them by NTP, or logs and file times mislead" : "")}"), skew > MostSkewSeconds),
        ];
    }

    /// <summary>Which MPI joins processes, and what to do where there is none.</summary>
    public static string Transport() => MpiGroup.Version is { } version
        ? $"{version} (joins several processes)"
        : "not built: install openmpi-bin and libopenmpi-dev and build again (./lab setup); one process does without";

    // Gigabytes a second of what each process sends in the best all-reduce there is, 2 (K - 1) / K of the data.
    private static double Rate(IProcessGroup group, long bytes) => bytes * 2.0 * (group.Size - 1) / group.Size / Fastest(group, bytes) / 1e9;

    private static double Fastest(IProcessGroup group, long bytes)
    {
        using var values = torch.ones(bytes / sizeof(float), device: torch.cuda.is_available() ? Processes.TakeGpu() : torch.CPU);
        return Enumerable.Range(0, Rounds).Min(_ =>
        {
            group.Barrier();
            var started = Stopwatch.GetTimestamp();
            group.Sum(values);
            values[0].item<float>();
            return Stopwatch.GetElapsedTime(started).TotalSeconds;
        });
    }

    // All read their clocks right behind a barrier; the least difference of some rounds has the least waiting in it.
    private static double Skew(IProcessGroup group) => Enumerable.Range(0, Rounds).Min(_ =>
    {
        group.Barrier();
        var clocks = group.GatherNumbers((DateTime.UtcNow - DateTime.UnixEpoch).TotalSeconds);
        return clocks.Max(clock => clock[0]) - clocks.Min(clock => clock[0]);
    });

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);
}
