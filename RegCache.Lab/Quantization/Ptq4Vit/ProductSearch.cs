namespace RegCache.Lab.Quantization.Ptq4Vit;

/// <summary>
/// Searches the quantizer of one operand of a matrix product while the other is held: all candidates of a batch go
/// through one product, and as many make a batch as the memory allows.
/// </summary>
/// <param name="product">What was recorded of the product.</param>
/// <param name="memory">Bytes that the candidates of one batch may take.</param>
/// <param name="name">The layer's name, for messages.</param>
internal sealed class ProductSearch(RecordedProduct product, long memory, string name)
{
    // The first images that sort the candidates: enough rows for an efficient product.
    private const long FirstRows = 384;

    /// <summary>Leading rows of the right operand's axis that stay float: (axis, count).</summary>
    public (int Axis, long Count) FloatPart { get; init; }

    private long Rows => product.Left.shape[1];

    private long Inner => product.Left.shape[2];

    private long Columns => product.Right.shape[1];

    /// <summary>Chooses the quantizer of the left operand.</summary>
    /// <param name="candidates">The candidates.</param>
    /// <param name="right">The dequantized right operand.</param>
    /// <exception cref="UserException">No candidate has a finite error.</exception>
    public int Left(ICandidates candidates, Tensor right) => Best(
        candidates,
        imageBytes: sizeof(float) * Rows * (Inner + Columns),
        fixedBytes: 0,
        axis: 1,
        (first, count, chosen) =>
        {
            var left = candidates.Expand(product.Left.narrow(0, first, count), chosen);
            return product.RightIsShared
                ? torch.nn.functional.linear(left, right[0])
                : left.view(count, -1, Inner).bmm(Slice(right, first, count).transpose(1, 2))
                    .view(count, chosen.Length, Rows, Columns);
        });

    /// <summary>Chooses the quantizer of the right operand.</summary>
    /// <param name="candidates">The candidates.</param>
    /// <param name="left">The dequantized left operand.</param>
    /// <exception cref="UserException">No candidate has a finite error.</exception>
    public int Right(ICandidates candidates, Tensor left)
    {
        var operandBytes = sizeof(float) * Columns * Inner;
        return Best(
            candidates,
            imageBytes: (sizeof(float) * Rows * Columns) + (product.RightIsShared ? 0 : operandBytes),
            fixedBytes: product.RightIsShared ? operandBytes : 0,
            axis: 2,
            (first, count, chosen) =>
            {
                var right = candidates.Expand(Slice(product.Right, first, count), chosen);
                if (FloatPart.Count > 0)
                {
                    // The candidates' axis stands before the rows of the operand.
                    right.narrow(FloatPart.Axis + 1, 0, FloatPart.Count).copy_(
                        Slice(product.Right, first, count).narrow(FloatPart.Axis, 0, FloatPart.Count).unsqueeze(1));
                }

                var rows = left.narrow(0, first, count);
                var outputs = product.RightIsShared
                    ? torch.nn.functional.linear(rows, right.view(-1, Inner))
                    : rows.bmm(right.view(count, -1, Inner).transpose(1, 2));
                return outputs.view(count, Rows, chosen.Length, Columns);
            });
    }

    private int Best(
        ICandidates candidates, long imageBytes, long fixedBytes, int axis, Func<long, long, int[], Tensor> outputs)
    {
        using var noGradient = torch.no_grad();
        var largestPart = Math.Max(1, (memory - fixedBytes) / imageBytes);
        var best = PrunedSearch.Best(
            candidates.Count, product.Images, (FirstRows + Rows - 1) / Rows, largestPart, (first, count, chosen) =>
        {
            var batch = (int)Math.Clamp(memory / (fixedBytes + (count * imageBytes)), 1, chosen.Length);
            return [.. chosen.Chunk(batch).SelectMany(part =>
            {
                using var scope = torch.NewDisposeScope();
                return OutputError.Sum(
                    outputs(first, count, part),
                    axis,
                    product.Output.narrow(0, first, count),
                    product.Gradient?.narrow(0, first, count),
                    product.Bias);
            })];
        });
        return best >= 0
            ? best
            : throw new UserException(
                $"No quantizer of {name} has a finite error on the calibration images: its values are too large; check the weights before this layer.");
    }

    private Tensor Slice(Tensor right, long first, long count) => product.RightIsShared ? right : right.narrow(0, first, count);
}
