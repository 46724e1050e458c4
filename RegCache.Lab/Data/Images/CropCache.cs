namespace RegCache.Lab.Data.Images;

/// <summary>Finished crops of a set in memory, up to a number of bytes; used by several threads.</summary>
internal sealed class CropCache(int images, long budget)
{
    private readonly byte[]?[] _crops = budget > 0 ? new byte[]?[images] : [];
    private long _left = budget;

    /// <summary>The crop of an image, or null.</summary>
    public byte[]? Find(int image) => _crops.Length == 0 ? null : Volatile.Read(ref _crops[image]);

    /// <summary>Keeps a copy of a crop while there is room.</summary>
    public void Keep(int image, ReadOnlySpan<byte> crop)
    {
        if (_crops.Length == 0 || Interlocked.Read(ref _left) < crop.Length)
        {
            return;
        }

        if (Interlocked.Add(ref _left, -crop.Length) < 0)
        {
            Interlocked.Add(ref _left, crop.Length);
        }
        else if (Interlocked.CompareExchange(ref _crops[image], crop.ToArray(), null) is not null)
        {
            Interlocked.Add(ref _left, crop.Length);
        }
    }
}
