using RegCache.Lab.Encoders;

namespace RegCache.Lab.Placement;

/// <summary>
/// Blocks with two attentions and two MLPs side by side (Touvron et al. 2022, arXiv:2203.09795, section 3) as blocks of twice the heads and
/// twice the hidden channels: the gains of both norms move into the layers behind them, and the layers that give the result stand beside
/// each other. Every seam of the encoder then works as in any other block (docs/methods/late-tokens.md, "Parallel blocks").
/// </summary>
internal static class ParallelBlocks
{
    /// <summary>A norm without gains and offsets, which both branches share.</summary>
    public static LayerNorm SharedNorm(LayerNorm like)
    {
        Tensor Constant(int value) => torch.full([like.Weight.shape[0]], value, like.Weight.dtype, like.Weight.device).DetachFromDisposeScope();
        return new(Constant(1), Constant(0), like.Epsilon);
    }

    /// <summary>The layers that take the normalised token, as one.</summary>
    /// <param name="branches">Each branch's norm and layer.</param>
    /// <param name="sections">Parts of a layer's outputs that stay together: 3 for queries, keys and values.</param>
    public static ILinear Into(IReadOnlyList<(LayerNorm Norm, ILinear Layer)> branches, int sections) => new DerivedLinear(() =>
    {
        Linear[] folded = [.. branches.Select(branch => Fold(branch.Norm, branch.Layer))];
        Tensor Side(Func<Linear, Tensor> part) => torch.cat(
            [.. Enumerable.Range(0, sections).SelectMany(section => folded.Select(layer => part(layer).chunk(sections)[section]))], 0);
        return new(Side(layer => layer.Weight), Side(layer => layer.Bias!));
    });

    private static Linear Fold(LayerNorm norm, ILinear layer)
    {
        var (type, wide) = (layer.Weight.dtype, layer.Weight.to(norm.Weight.dtype));
        var offset = wide.mv(norm.Bias);
        return new((wide * norm.Weight).to(type), (layer.Bias is { } bias ? offset + bias : offset).to(type));
    }
}

/// <summary>A linear layer whose weights are computed from other tensors whenever it runs.</summary>
/// <param name="compose">Makes the layer, in the current dispose scope.</param>
internal sealed class DerivedLinear(Func<Linear> compose) : IComposedLinear
{
    /// <inheritdoc />
    public Tensor Weight => TensorScope.Run(() => compose().Weight);

    /// <inheritdoc />
    public Tensor? Bias => TensorScope.Run(() => compose().Bias);

    /// <inheritdoc />
    public bool IsRowwise => true;

    /// <inheritdoc />
    public Linear Join()
    {
        var (weight, bias) = TensorScope.Run(() =>
        {
            var made = compose();
            return (made.Weight, made.Bias);
        });
        return new(weight, bias);
    }

    /// <inheritdoc />
    public Tensor Apply(Tensor input) => TensorScope.Run(() => compose().Apply(input));
}

/// <summary>The sum of several linear layers on parts of one input, <c>sum_i g_i (W_i x_i + b_i)</c>.</summary>
/// <param name="Branches">The layers, which take equal parts of the channels.</param>
internal sealed record SummedLinear(ValueList<(Linear Layer, Tensor? Gain)> Branches) : IComposedLinear
{
    /// <inheritdoc />
    public Tensor Weight => TensorScope.Run(() => torch.cat(
        [.. Branches.Select(branch => branch.Gain is { } gain ? branch.Layer.Weight * gain.unsqueeze(1) : branch.Layer.Weight)], 1));

    /// <inheritdoc />
    public Tensor Bias => TensorScope.Run(() => Biases.Aggregate((sum, bias) => sum + bias));

    /// <summary>What each branch adds whatever its input is [C].</summary>
    public IEnumerable<Tensor> Biases => Branches.Select(branch => branch.Gain is { } gain ? branch.Layer.Bias! * gain : branch.Layer.Bias!);

    /// <inheritdoc />
    public bool IsRowwise => true;

    /// <inheritdoc />
    public Linear Join() => new(Weight, Bias);

    /// <inheritdoc />
    public Tensor Apply(Tensor input) => TensorScope.Run(() => Join().Apply(input));
}
