namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>Resizes the position tables of a checkpoint to another image or context size.</summary>
public static class PositionEmbeddings
{
    // Keys' cubic convolution with a = -0.5.
    private const double CubicA = -0.5;
    private const double CubicSupport = 2;

    /// <summary>
    /// Resizes a vision table [1+h*w, C], whose first row belongs to the class token and is kept, to another grid by
    /// anti-aliased separable cubic convolution (a = -0.5, pixel centres).
    /// </summary>
    /// <param name="table">The table in C order.</param>
    /// <param name="width">Channels C.</param>
    /// <param name="from">The table's grid (h, w).</param>
    /// <param name="to">The wanted grid.</param>
    public static float[] ResizeVision(ReadOnlySpan<float> table, int width, (int Height, int Width) from, (int Height, int Width) to)
    {
        if (table.Length != (1 + ((long)from.Height * from.Width)) * width)
        {
            throw new ArgumentException($"{table.Length} values are no table of a {from.Height} x {from.Width} grid with {width} channels.", nameof(table));
        }

        var vertical = CubicMatrix(from.Height, to.Height);
        var horizontal = CubicMatrix(from.Width, to.Width);

        // Rows first: [h, w*C] to [h', w*C]; then columns of each row: [w, C] to [w', C].
        var rows = Multiply(vertical, table[width..], from.Width * width);
        var result = new float[(1 + (to.Height * to.Width)) * width];
        table[..width].CopyTo(result);
        for (var row = 0; row < to.Height; row++)
        {
            var columns = Multiply(horizontal, rows.AsSpan(row * from.Width * width, from.Width * width), width);
            columns.CopyTo(result, (1 + (row * to.Width)) * width);
        }

        return result;
    }

    /// <summary>Resizes a text table [n, C] to another number of positions by linear interpolation without anti-aliasing.</summary>
    /// <param name="table">The table in C order.</param>
    /// <param name="width">Channels C.</param>
    /// <param name="positions">The wanted number of positions.</param>
    public static float[] ResizeText(ReadOnlySpan<float> table, int width, int positions) =>
        Multiply(LinearMatrix(table.Length / width, positions), table, width);

    /// <summary>
    /// The weights [to, from] of anti-aliased cubic resizing along one axis: output i is centred at
    /// (i + 0.5) * from / to, and the kernel is widened when the axis shrinks. Every row sums to 1.
    /// </summary>
    public static double[,] CubicMatrix(int from, int to)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(from);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(to);
        var weights = new double[to, from];
        var scale = (double)from / to;
        var widening = Math.Max(scale, 1);
        var support = CubicSupport * widening;
        for (var output = 0; output < to; output++)
        {
            var centre = (output + 0.5) * scale;
            var low = Math.Max(0, (int)(centre - support + 0.5));
            var high = Math.Min(from, (int)(centre + support + 0.5));
            var sum = 0.0;
            for (var input = low; input < high; input++)
            {
                weights[output, input] = Cubic((input - centre + 0.5) / widening);
                sum += weights[output, input];
            }

            for (var input = low; input < high; input++)
            {
                weights[output, input] /= sum;
            }
        }

        return weights;
    }

    /// <summary>The weights [to, from] of linear interpolation along one axis, with pixel centres and without anti-aliasing.</summary>
    public static double[,] LinearMatrix(int from, int to)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(from);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(to);
        var weights = new double[to, from];
        for (var output = 0; output < to; output++)
        {
            var position = Math.Max(((output + 0.5) * from / to) - 0.5, 0);
            var lower = Math.Min((int)position, from - 1);
            var upper = Math.Min(lower + 1, from - 1);
            weights[output, lower] += 1 - (position - lower);
            weights[output, upper] += position - lower;
        }

        return weights;
    }

    internal static WeightEntry Fit(WeightEntry entry, VisionConfig config)
    {
        if (entry.Shape is not [var positions, var width] || positions == config.Patches + 1 || positions < 2)
        {
            return entry;
        }

        var side = (int)Math.Sqrt(positions - 1);
        if ((long)side * side != positions - 1)
        {
            throw new UserException($"{entry.Name} has {positions} positions, which are no class token and a square grid, so it cannot be resized.");
        }

        var resized = ResizeVision(entry.ToSingles(), (int)width, (side, side), config.Grid);
        return WeightEntry.FromValues<float>(entry.Name, resized, config.Patches + 1, width);
    }

    internal static WeightEntry Fit(WeightEntry entry, TextConfig config) =>
        entry.Shape is not [> 0 and var positions, > 0 and var width] || positions == config.ContextLength
            ? entry
            : WeightEntry.FromValues<float>(
                entry.Name, ResizeText(entry.ToSingles(), (int)width, config.ContextLength), config.ContextLength, width);

    private static double Cubic(double x)
    {
        x = Math.Abs(x);
        return x switch
        {
            < 1 => ((((CubicA + 2) * x) - (CubicA + 3)) * x * x) + 1,
            < 2 => ((((((x - 5) * x) + 8) * x) - 4) * CubicA),
            _ => 0,
        };
    }

    // [to, from] times [from, columns], summed in double precision.
    private static float[] Multiply(double[,] matrix, ReadOnlySpan<float> values, int columns)
    {
        var (to, from) = (matrix.GetLength(0), matrix.GetLength(1));
        var result = new float[to * columns];
        var sums = new double[columns];
        for (var output = 0; output < to; output++)
        {
            Array.Clear(sums);
            for (var input = 0; input < from; input++)
            {
                var weight = matrix[output, input];
                if (weight != 0)
                {
                    var row = values.Slice(input * columns, columns);
                    for (var column = 0; column < columns; column++)
                    {
                        sums[column] += weight * row[column];
                    }
                }
            }

            for (var column = 0; column < columns; column++)
            {
                result[(output * columns) + column] = (float)sums[column];
            }
        }

        return result;
    }
}
