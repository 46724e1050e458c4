using System.Diagnostics;

namespace RegCache.Lab.Tests.Cli;

/// <summary>Kills a command of the kit again and again, as SIGKILL does: it cannot tidy up.</summary>
internal static class KilledRuns
{
    private const int Kills = 20;
    private const int MostWork = 100;

    /// <summary>
    /// Kills runs that go on from one another at 20 random moments: by turns while the run starts, and while it works, soon after it has
    /// written a checkpoint; on a busy machine a moment of the whole run mostly is one of its start. Then a run is left alone.
    /// </summary>
    /// <param name="arguments">The command, which keeps what it has in <paramref name="folder"/>.</param>
    /// <param name="folder">Its run directory.</param>
    /// <param name="checkpoints">Its checkpoints, as a pattern of files below that.</param>
    /// <param name="seed">Seed of the moments.</param>
    /// <param name="assertResult">Called for each run that came to its end.</param>
    public static void AssertSameResult(IReadOnlyList<string> arguments, string folder, string checkpoints, int seed, Action assertResult)
    {
        var (random, start, resumed, killed) = (new Random(seed), 0, 0, 0);
        while (killed < Kills)
        {
            var (before, clock) = (LastCheckpoint(), Stopwatch.StartNew());
            using var process = ExternalProcess.Start(ExternalProcess.Regcache, arguments);
            if (killed % 2 == 0)
            {
                while (!process.HasExited && LastCheckpoint() <= before)
                {
                    Thread.Sleep(2);
                }

                start = (int)clock.ElapsedMilliseconds;
                Thread.Sleep(random.Next(MostWork));
            }
            else
            {
                Thread.Sleep(random.Next(start));
            }

            process.Signal("KILL");
            if (process.WaitForExit() == 0)
            {
                // It was faster than the signal: these are final numbers, and the next one starts afresh.
                assertResult();
                Directory.Delete(folder, recursive: true);
                continue;
            }

            killed++;
            resumed += process.Error.Contains("going on from the checkpoint", StringComparison.Ordinal) ? 1 : 0;
        }

        var (code, _, error) = ExternalProcess.Run(ExternalProcess.Regcache, arguments);
        Assert.True(code == 0, error);
        assertResult();
        Assert.True(resumed > Kills / 4, $"only {resumed} of {Kills} runs went on from a checkpoint");

        DateTime LastCheckpoint()
        {
            try
            {
                return new DirectoryInfo(folder).EnumerateFiles(checkpoints, SearchOption.AllDirectories).Select(file => file.LastWriteTimeUtc).DefaultIfEmpty().Max();
            }
            catch (IOException)
            {
                // There is no folder yet, or a file went away while it was looked at.
                return default;
            }
        }
    }
}
