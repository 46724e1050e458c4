using RegCache.Lab.Encoders.Checkpoints;

namespace RegCache.Lab.Tests.Encoders.Checkpoints;

/// <summary>Compares tensors of weight files to the bit.</summary>
internal static class EntryAssert
{
    public static void Equal(IEnumerable<WeightEntry> expected, IEnumerable<WeightEntry> actual)
    {
        var found = actual.ToDictionary(entry => entry.Name);
        var wanted = expected.ToList();
        Assert.Equal(wanted.Select(entry => entry.Name).Order(StringComparer.Ordinal), found.Keys.Order(StringComparer.Ordinal));
        foreach (var entry in wanted)
        {
            Equal(entry, found[entry.Name]);
        }
    }

    public static void Equal(WeightEntry expected, WeightEntry actual)
    {
        Assert.Equal(expected.Type, actual.Type);
        Assert.Equal(expected.Shape, actual.Shape);
        Assert.True(Bytes(expected).AsSpan().SequenceEqual(Bytes(actual)), $"{expected} differs from {actual}.");
    }

    public static byte[] Bytes(WeightEntry entry)
    {
        using var stream = new MemoryStream();
        entry.WriteTo(stream);
        return stream.ToArray();
    }
}
