using RegCache.Lab.Encoders;

namespace RegCache.Lab.Pooling;

/// <summary>Shares of values that training sets to zero.</summary>
/// <param name="Hidden">Of embeddings, distances, and outputs of layers.</param>
/// <param name="Attention">Of attention probabilities.</param>
public sealed record DropoutRates(double Hidden, double Attention)
{
    /// <summary>Nothing is dropped, as in evaluation.</summary>
    public static DropoutRates None { get; } = new(0, 0);

    /// <summary>Drops a share of values and scales up the rest.</summary>
    public static Tensor Apply(Tensor input, double rate) => rate == 0 ? input : torch.nn.functional.dropout(input, rate);
}

/// <summary>What all layers of a stack share: the table of distances, the vectors u and v, and who is hidden.</summary>
/// <param name="Table">Sines and cosines of the distances [R,1,C], see <see cref="RelativeScores.Table"/>.</param>
/// <param name="ContentBias">u, `r_w_bias` [H,d].</param>
/// <param name="PositionBias">v, `r_r_bias` [H,d].</param>
/// <param name="Direction">Which keys a query sees.</param>
/// <param name="Mask">Added to the scores [T,T] or [B,1,T], minus infinity for hidden keys; null hides none.</param>
/// <param name="Dropout">What training drops.</param>
public sealed record RelativeContext(
    Tensor Table, Tensor ContentBias, Tensor PositionBias, RelativeDirection Direction, Tensor? Mask, DropoutRates Dropout) : ITensorHolder
{
    /// <inheritdoc />
    public IEnumerable<Tensor> Tensors => Mask is null ? [Table, ContentBias, PositionBias] : [Table, ContentBias, PositionBias, Mask];

    /// <summary>Prepares a stack of some length.</summary>
    /// <param name="frequencies">`pos_emb.inv_freq` [C/2].</param>
    /// <param name="contentBias">u [H,d].</param>
    /// <param name="positionBias">v [H,d].</param>
    /// <param name="length">Positions T.</param>
    /// <param name="direction">Which keys a query sees.</param>
    /// <param name="padding">Keys that nobody sees [B,T], bool; null: none. Not for causal stacks, whose padding is behind everything that is read.</param>
    /// <param name="dropout">What training drops.</param>
    public static RelativeContext Of(
        Tensor frequencies, Tensor contentBias, Tensor positionBias, long length, RelativeDirection direction, Tensor? padding = null, DropoutRates? dropout = null)
    {
        var drop = dropout ?? DropoutRates.None;
        var (table, mask) = TensorScope.Run(() => (DropoutRates.Apply(RelativeScores.Table(frequencies, length, direction), drop.Hidden), Hidden()));
        return new(table, contentBias, positionBias, direction, mask, drop);

        Tensor? Hidden() =>
            direction == RelativeDirection.Causal
                ? torch.full([length, length], float.NegativeInfinity, torch.ScalarType.Float32, frequencies.device).triu(1)
            : padding is null ? null
            : torch.zeros([padding.shape[0], 1, length], torch.ScalarType.Float32, frequencies.device).masked_fill(padding.unsqueeze(1), float.NegativeInfinity);
    }
}

/// <summary>
/// Multi-head attention by content and distance, then the residual sum and a LayerNorm: `dec_attn` (Dai et al. 2019, arXiv:1901.02860, section 3.3;
/// docs/methods/dynamic-pooling.md, "Relative attention"). There is no memory of earlier chunks.
/// </summary>
/// <param name="Heads">Heads H.</param>
/// <param name="In">Queries, keys and values, `qkv_net` [3 H d,C].</param>
/// <param name="Distance">Projects the table of distances, `r_net` [H d,C].</param>
/// <param name="Out">`o_net` [C,H d].</param>
/// <param name="Norm">`layer_norm`.</param>
public sealed record RelativeAttention(int Heads, ILinear In, ILinear Distance, ILinear Out, LayerNorm Norm)
{
    /// <summary>Maps tokens [T,B,C] to [T,B,C].</summary>
    public Tensor Apply(Tensor input, RelativeContext context) => TensorScope.Run(() =>
    {
        var (tokens, batch) = (input.shape[0], input.shape[1]);
        var parts = In.Apply(input).view(tokens, batch, 3, Heads, -1).permute(2, 3, 1, 0, 4);
        var (query, key, value) = (parts.select(0, 0), parts.select(0, 1).contiguous(), parts.select(0, 2).contiguous());
        var width = query.shape[^1];

        // Scaling the queries scales both products, at a fraction of what scaling the scores costs.
        var scale = 1 / Math.Sqrt(width);
        Tensor With(Tensor bias) => ((query + bias.view(Heads, 1, 1, width)) * scale).contiguous();
        var distances = Distance.Apply(context.Table).view(-1, Heads, width).transpose(0, 1).contiguous();
        var scores = RelativeScores.Of(With(context.ContentBias), With(context.PositionBias), key, distances, context.Direction, context.Mask);
        var probabilities = DropoutRates.Apply(scores.softmax(-1), context.Dropout.Attention);
        var read = probabilities.flatten(0, 1).bmm(value.flatten(0, 1)).view(Heads, batch, tokens, width).permute(2, 1, 0, 3).reshape(tokens, batch, -1);
        return Norm.Apply(input + DropoutRates.Apply(Out.Apply(read), context.Dropout.Hidden));
    });
}

/// <summary>A layer: attention, then an MLP, both with a LayerNorm behind the residual sum.</summary>
/// <param name="Attention">`dec_attn`.</param>
/// <param name="In">First layer of the MLP, `pos_ff.CoreNet.0` [D',C].</param>
/// <param name="Out">Its second, `pos_ff.CoreNet.3` [C,D'].</param>
/// <param name="Norm">`pos_ff.layer_norm`.</param>
public sealed record RelativeLayer(RelativeAttention Attention, ILinear In, ILinear Out, LayerNorm Norm)
{
    private const double NormEpsilon = 1e-5;

    /// <summary>The names and shapes of a layer's tensors, in checkpoint order.</summary>
    /// <param name="name">What stands before them, such as <c>layers.0.1.</c>.</param>
    /// <param name="width">Channels C.</param>
    /// <param name="attentionWidth">Channels of all heads, H d.</param>
    /// <param name="inner">Channels of the MLP D'.</param>
    public static IEnumerable<(string Name, long[] Shape)> Parameters(string name, int width, int attentionWidth, int inner) =>
    [
        ($"{name}dec_attn.qkv_net.weight", [3 * attentionWidth, width]), ($"{name}dec_attn.qkv_net.bias", [3 * attentionWidth]),
        ($"{name}dec_attn.r_net.weight", [attentionWidth, width]), ($"{name}dec_attn.r_net.bias", [attentionWidth]),
        ($"{name}dec_attn.o_net.weight", [width, attentionWidth]), ($"{name}dec_attn.o_net.bias", [width]),
        ($"{name}dec_attn.layer_norm.weight", [width]), ($"{name}dec_attn.layer_norm.bias", [width]),
        ($"{name}pos_ff.CoreNet.0.weight", [inner, width]), ($"{name}pos_ff.CoreNet.0.bias", [inner]),
        ($"{name}pos_ff.CoreNet.3.weight", [width, inner]), ($"{name}pos_ff.CoreNet.3.bias", [width]),
        ($"{name}pos_ff.layer_norm.weight", [width]), ($"{name}pos_ff.layer_norm.bias", [width]),
    ];

    /// <summary>Takes a layer's tensors.</summary>
    /// <param name="weights">The model's tensors.</param>
    /// <param name="name">What stands before their names.</param>
    /// <param name="width">Channels C.</param>
    /// <param name="heads">Heads H.</param>
    /// <param name="headWidth">Channels of a head d.</param>
    /// <param name="inner">Channels of the MLP D'.</param>
    /// <exception cref="UserException">A tensor is missing, of another shape, or not finite.</exception>
    public static RelativeLayer From(WeightTable weights, string name, int width, int heads, int headWidth, int inner)
    {
        var shapes = Parameters(name, width, heads * headWidth, inner).ToDictionary(parameter => parameter.Name, parameter => parameter.Shape);
        Tensor Take(string part) => weights.Take(name + part, shapes[name + part]);
        Linear Linear(string part) => new(Take($"{part}.weight"), Take($"{part}.bias"));
        LayerNorm Norm(string part) => new(Take($"{part}.weight"), Take($"{part}.bias"), NormEpsilon);
        return new(
            new(heads, Linear("dec_attn.qkv_net"), Linear("dec_attn.r_net"), Linear("dec_attn.o_net"), Norm("dec_attn.layer_norm")),
            Linear("pos_ff.CoreNet.0"),
            Linear("pos_ff.CoreNet.3"),
            Norm("pos_ff.layer_norm"));
    }

    /// <summary>Maps tokens [T,B,C] to [T,B,C].</summary>
    public Tensor Apply(Tensor input, RelativeContext context) => TensorScope.Run(() =>
    {
        var attended = Attention.Apply(input, context);
        var drop = context.Dropout.Hidden;
        var hidden = DropoutRates.Apply(torch.nn.functional.gelu(In.Apply(attended)), drop);
        return Norm.Apply(attended + DropoutRates.Apply(Out.Apply(hidden), drop));
    });
}
