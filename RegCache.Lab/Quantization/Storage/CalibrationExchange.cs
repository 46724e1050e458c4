using System.Text.Json;
using RegCache.Lab.Distributed;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Quantization.Storage;

/// <summary>
/// Puts a calibration together of which each process has a part (docs/distributed.md): what the quantizers are travels as text, their
/// numbers as one tensor. All processes end up with the same bits.
/// </summary>
internal static class CalibrationExchange
{
    /// <summary>Sends this process's part to the others and takes theirs.</summary>
    /// <param name="processes">The processes; all of them call this.</param>
    /// <param name="method">The family and its settings.</param>
    /// <param name="patches">The patch embedding; null if another process has it, or none.</param>
    /// <param name="blocks">The blocks, in order; those that are null are another process's.</param>
    /// <param name="device">Where the encoder runs.</param>
    public static CalibratedQuantizer Join(
        IProcessGroup processes, string method, CalibratedPatches? patches, IReadOnlyList<CalibratedBlock?> blocks, torch.Device device)
    {
        if (processes.Size == 1)
        {
            return new(method, patches, [.. blocks.OfType<CalibratedBlock>()]);
        }

        var own = CalibrationParts.Of(patches, blocks);
        var message = new Message(own.Quantizers, [.. own.Tensors.Select(part => new Place(part.Name, part.Shape))]);
        Message[] messages =
        [
            .. processes.GatherTexts(JsonSerializer.Serialize(message, ReportJson.Options))
                .Select(text => JsonSerializer.Deserialize<Message>(text, ReportJson.Options)!),
        ];
        var values = GatherValues(processes, [.. own.Tensors.SelectMany(part => part.Values)]);

        var (tensors, first) = (new Dictionary<string, (long[] Shape, int First, int Count)>(), 0);
        foreach (var (name, shape) in messages.SelectMany(part => part.Tensors))
        {
            var count = (int)shape.Aggregate(1L, (product, size) => product * size);
            tensors.Add(name, (shape, first, count));
            first += count;
        }

        var reader = new CalibrationReader(
            "what the processes have calibrated",
            messages.SelectMany(part => part.Quantizers).ToDictionary(),
            name => tensors.TryGetValue(name, out var place)
                ? torch.tensor(values.AsSpan(place.First, place.Count).ToArray(), place.Shape, device: device).DetachFromDisposeScope()
                : null);
        return new(method, reader.Patches(), reader.Blocks(blocks.Count));
    }

    private static float[] GatherValues(IProcessGroup processes, float[] own)
    {
        using var part = torch.tensor(own);
        using var all = processes.Gather(part);
        return all.data<float>().ToArray();
    }

    private sealed record Message(SortedDictionary<string, QuantizerRecord> Quantizers, Place[] Tensors);

    private sealed record Place(string Name, long[] Shape);
}
