using RegCache.Lab.Encoders;

namespace RegCache.Lab.Pooling;

/// <summary>The order in which the patches of an image follow each other in runs.</summary>
public enum PatchOrder
{
    /// <summary>Row by row, from left to right: a run may go on at the start of the next row.</summary>
    Raster,

    /// <summary>Row by row, every second one from right to left, so that neighbours in a run are neighbours in the image.</summary>
    Serpentine,

    /// <summary>Along a Hilbert curve (Hilbert 1891) over the smallest square of a power of two around the grid, which keeps runs compact.</summary>
    Hilbert,
}

/// <summary>Brings patches into an order.</summary>
public static class PatchOrders
{
    /// <summary>The patches of a grid in an order, as raster indices.</summary>
    /// <param name="order">The order.</param>
    /// <param name="rows">Rows of the grid.</param>
    /// <param name="columns">Its columns.</param>
    public static long[] Of(PatchOrder order, int rows, int columns)
    {
        var patches = Enumerable.Range(0, rows * columns).Select(patch => (Row: patch / columns, Column: patch % columns));
        var places = order switch
        {
            PatchOrder.Raster => patches,
            PatchOrder.Serpentine => patches.OrderBy(place => (place.Row * columns) + (place.Row % 2 == 0 ? place.Column : columns - 1 - place.Column)),
            PatchOrder.Hilbert => patches.OrderBy(place => HilbertIndex(place.Row, place.Column, SideAround(Math.Max(rows, columns)))),
            _ => throw new ArgumentOutOfRangeException(nameof(order)),
        };
        return [.. places.Select(place => ((long)place.Row * columns) + place.Column)];
    }

    /// <summary>The stream with its patches in an order; tokens that were merged or dropped before are brought into it by their positions.</summary>
    internal static TokenBatch Arrange(TokenBatch batch, PatchOrder order)
    {
        if (batch.Positions is null && order == PatchOrder.Raster)
        {
            return batch;
        }

        return TensorScope.Run(() =>
        {
            var (layout, first, device) = (batch.Layout, batch.Layout.ProtectedTokens, batch.Tokens.device);
            var natural = torch.arange(batch.Length, torch.ScalarType.Int64, device).expand(batch.Images, -1);
            var patches = (batch.Positions ?? natural).narrow(1, first, batch.Length - first) - first;
            var sequence = torch.tensor(Of(order, layout.GridRows, layout.GridColumns), device: device);
            var rank = torch.empty_like(sequence).scatter_(0, sequence, torch.arange(sequence.shape[0], torch.ScalarType.Int64, device));
            var ranks = rank.index_select(0, patches.flatten()).view_as(patches);
            ranks = batch.Padding is { } padding ? ranks.masked_fill(padding.narrow(1, first, ranks.shape[1]), long.MaxValue) : ranks;
            var (_, places) = ranks.sort(1, stable: true);
            return batch.Select(torch.cat([natural.narrow(1, 0, first), places + first], 1));
        });
    }

    private static int SideAround(int length) => (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)length);

    // The quadrant of every scale, from the largest on; each one's curve is turned or mirrored so that it joins its neighbours.
    private static long HilbertIndex(int row, int column, int side)
    {
        var index = 0L;
        for (var half = side / 2; half > 0; half /= 2)
        {
            var (right, down) = ((column & half) > 0 ? 1 : 0, (row & half) > 0 ? 1 : 0);
            index += (long)half * half * ((3 * right) ^ down);
            if (down == 0)
            {
                (column, row) = right == 1 ? (side - 1 - column, side - 1 - row) : (column, row);
                (column, row) = (row, column);
            }
        }

        return index;
    }
}
