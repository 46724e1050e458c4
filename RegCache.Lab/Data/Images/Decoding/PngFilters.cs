using System.Numerics;

namespace RegCache.Lab.Data.Images.Decoding;

/// <summary>The five row filters of PNG, undone in place.</summary>
internal static class PngFilters
{
    /// <summary>Restores a row.</summary>
    /// <param name="filter">The filter's number.</param>
    /// <param name="row">The filtered bytes, overwritten by the restored ones.</param>
    /// <param name="above">The restored row above, zeros for the first.</param>
    /// <param name="distance">Bytes between a byte and its left neighbour.</param>
    /// <exception cref="InvalidDataException">The number is not defined.</exception>
    public static void Undo(byte filter, Span<byte> row, ReadOnlySpan<byte> above, int distance)
    {
        switch (filter)
        {
            case 0:
                break;
            case 1:
                UndoLeft(row, distance);
                break;
            case 2:
                UndoUp(row, above);
                break;
            case 3:
                UndoAverage(row, above, distance);
                break;
            case 4:
                UndoPaeth(row, above, distance);
                break;
            default:
                throw new InvalidDataException($"row filter {filter} is not defined");
        }
    }

    private static void UndoLeft(Span<byte> row, int distance)
    {
        for (var i = distance; i < row.Length; i++)
        {
            row[i] += row[i - distance];
        }
    }

    private static void UndoUp(Span<byte> row, ReadOnlySpan<byte> above)
    {
        var i = 0;
        for (; i <= row.Length - Vector<byte>.Count; i += Vector<byte>.Count)
        {
            (new Vector<byte>(row[i..]) + new Vector<byte>(above[i..])).CopyTo(row[i..]);
        }

        for (; i < row.Length; i++)
        {
            row[i] += above[i];
        }
    }

    private static void UndoAverage(Span<byte> row, ReadOnlySpan<byte> above, int distance)
    {
        for (var i = 0; i < Math.Min(distance, row.Length); i++)
        {
            row[i] += (byte)(above[i] >> 1);
        }

        for (var i = distance; i < row.Length; i++)
        {
            row[i] += (byte)((row[i - distance] + above[i]) >> 1);
        }
    }

    private static void UndoPaeth(Span<byte> row, ReadOnlySpan<byte> above, int distance)
    {
        for (var i = 0; i < Math.Min(distance, row.Length); i++)
        {
            row[i] += above[i];
        }

        for (var i = distance; i < row.Length; i++)
        {
            int left = row[i - distance], up = above[i], corner = above[i - distance];
            var toLeft = Math.Abs(up - corner);
            var toUp = Math.Abs(left - corner);
            var toCorner = Math.Abs(left + up - (2 * corner));
            row[i] += (byte)(toLeft <= toUp && toLeft <= toCorner ? left : toUp <= toCorner ? up : corner);
        }
    }
}
