namespace RegCache.Lab.Quantization.Ptq4Vit;

/// <summary>One matrix product of the float model on the calibration images: <c>O = L R^T + b</c> for every image.</summary>
/// <param name="Left">Left operand L [I,M,n].</param>
/// <param name="Right">Right operand R, its rows are the columns of the product: [I,C,n], or [1,C,n] for weights.</param>
/// <param name="Bias">Bias b [C], or null.</param>
/// <param name="Output">The product O [I,M,C].</param>
/// <param name="Gradient">Gradient G of the loss at the output [I,M,C]; null for the cosine metric.</param>
internal sealed record RecordedProduct(Tensor Left, Tensor Right, Tensor? Bias, Tensor Output, Tensor? Gradient)
{
    public long Images => Left.shape[0];

    public bool RightIsShared => Right.shape[0] == 1 && Images != 1;

    /// <summary>The product restricted to some rows of the right operand.</summary>
    public RecordedProduct Columns(long first, long count) => new(
        Left,
        Right.narrow(1, first, count).contiguous(),
        Bias?.narrow(0, first, count),
        Output.narrow(2, first, count).contiguous(),
        Gradient?.narrow(2, first, count).contiguous());

    /// <summary>One head of a product whose tensors are [B,H,..].</summary>
    public RecordedProduct Head(long head) => Each(tensor => tensor.select(1, head).contiguous());

    /// <summary>The product of all heads, [B,H,..] seen as [B*H,..].</summary>
    public RecordedProduct AllHeads() => Each(tensor => tensor.flatten(0, 1));

    private RecordedProduct Each(Func<Tensor, Tensor> part) =>
        new(part(Left), part(Right), Bias, part(Output), Gradient is null ? null : part(Gradient));
}
