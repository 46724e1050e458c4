using System.Diagnostics;

namespace RegCache.Lab.Encoders;

/// <summary>The convolution that cuts an image into patches and projects each.</summary>
/// <param name="Weight">`conv1.weight` [C,3,p,p]; kernel and stride are the patch size p.</param>
/// <param name="Bias">Bias [C]; null in CLIP.</param>
public sealed record PatchEmbedding(Tensor Weight, Tensor? Bias = null)
{
    /// <summary>Applied to the images before the convolution, for example a fake quantizer; null passes them on.</summary>
    public Func<Tensor, Tensor>? Input { get; init; }

    /// <summary>The same as a linear layer on patches that are cut out first; null convolves.</summary>
    public ILinear? Product { get; init; }

    /// <summary>Embeds images [B,3,H,W] as patches [B,C,H/p,W/p].</summary>
    public Tensor Apply(Tensor images)
    {
        var input = Input?.Invoke(images) ?? images;
        if (Product is not null)
        {
            return Multiply(input, Product);
        }

        long[] stride = [Weight.shape[2], Weight.shape[3]];
        return torch.nn.functional.conv2d(input, Weight, Bias, stride);
    }

    private Tensor Multiply(Tensor images, ILinear product) => TensorScope.Run(() =>
    {
        var (count, channels, height, width) = (images.shape[0], images.shape[1], Weight.shape[2], Weight.shape[3]);
        var (rows, columns) = (images.shape[2] / height, images.shape[3] / width);
        var patches = images.narrow(2, 0, rows * height).narrow(3, 0, columns * width)
            .reshape(count, channels, rows, height, columns, width)
            .permute(0, 2, 4, 1, 3, 5)
            .reshape(count, rows * columns, -1);
        return product.Apply(patches).transpose(1, 2).view(count, -1, rows, columns);
    });
}

/// <summary>Layer normalisation over the channels: <c>(x - mean) / sqrt(var + eps) * w + b</c>.</summary>
/// <param name="Weight">Gain [C].</param>
/// <param name="Bias">Offset [C].</param>
/// <param name="Epsilon">Added to the variance.</param>
public sealed record LayerNorm(Tensor Weight, Tensor Bias, double Epsilon)
{
    /// <summary>
    /// Normalises each row, [..,C] to [..,C]. Reduced precision is normalised in float32 and cast back, as OpenCLIP does.
    /// </summary>
    public Tensor Apply(Tensor input)
    {
        if (input.dtype == Weight.dtype)
        {
            return torch.nn.functional.layer_norm(input, Weight.shape, Weight, Bias, Epsilon);
        }

        var wide = input.to(Weight.dtype);
        return torch.nn.functional.layer_norm(wide, Weight.shape, Weight, Bias, Epsilon).to(input.dtype);
    }
}

/// <summary>The float linear layer <c>y = x W^T + b</c>.</summary>
/// <param name="Weight">Weights [out,in].</param>
/// <param name="Bias">Bias [out], or null.</param>
public sealed record Linear(Tensor Weight, Tensor? Bias) : ILinear
{
    /// <inheritdoc />
    public bool IsRowwise => true;

    /// <inheritdoc />
    public Tensor Apply(Tensor input) => torch.nn.functional.linear(input, Weight, Bias);
}

/// <summary>A linear layer whose weights are made of those of its parts whenever it runs, so that training reaches the parts.</summary>
public interface IComposedLinear : ILinear
{
    /// <summary>The same layer with weights of its own, in the current dispose scope.</summary>
    Linear Join();
}

/// <summary>
/// Several linear layers on the same input as one: their outputs side by side, of one product. The weights stay those of the parts, so that
/// training reaches them.
/// </summary>
/// <param name="Parts">The layers, at least two.</param>
public sealed record JoinedLinear(ValueList<Linear> Parts) : IComposedLinear
{
    /// <inheritdoc />
    public Tensor Weight => torch.cat([.. Parts.Select(part => part.Weight)], 0);

    /// <inheritdoc />
    public Tensor? Bias => torch.cat([.. Parts.Select(part => part.Bias!)], 0);

    /// <inheritdoc />
    public bool IsRowwise => true;

    /// <summary>The layers as one; a single one stays itself.</summary>
    public static ILinear Of(ValueList<Linear> parts) => parts is [var single] ? single : new JoinedLinear(parts);

    /// <inheritdoc />
    public Linear Join() => new(Weight, Bias);

    /// <inheritdoc />
    public Tensor Apply(Tensor input) => TensorScope.Run(() => Join().Apply(input));
}

/// <summary>The non-linearity of a block's MLP.</summary>
public enum Activation
{
    /// <summary>Exact GELU, <c>x Phi(x)</c>, in its erf form.</summary>
    Gelu,

    /// <summary><c>x sigmoid(1.702 x)</c>, used by the OpenAI CLIP weights.</summary>
    QuickGelu,
}

/// <summary>Evaluates an <see cref="Activation"/>.</summary>
public static class ActivationExtensions
{
    /// <summary>Applies the non-linearity to every element.</summary>
    public static Tensor Apply(this Activation activation, Tensor input) => activation switch
    {
        Activation.Gelu => torch.nn.functional.gelu(input),
        Activation.QuickGelu => QuickGelu(input),
        _ => throw new UnreachableException(),
    };

    private static Tensor QuickGelu(Tensor input)
    {
        using var scaled = input * 1.702f;
        using var gate = scaled.sigmoid();
        return input * gate;
    }
}

/// <summary>The plain two-layer MLP <c>Out(activation(In(x)))</c>.</summary>
/// <param name="In">First linear layer, `mlp.c_fc` [R*C,C].</param>
/// <param name="Activation">The non-linearity.</param>
/// <param name="Out">Second linear layer, `mlp.c_proj` [C,R*C].</param>
public sealed record FeedForward(ILinear In, Activation Activation, ILinear Out) : IMlp
{
    /// <inheritdoc />
    public bool IsRowwise => In.IsRowwise && Out.IsRowwise;

    ILinear? IMlp.Out => Out;

    /// <inheritdoc />
    public IMlp With(ILinear into, ILinear? outOf) => new FeedForward(into, Activation, outOf!);

    /// <inheritdoc />
    public Tensor Apply(Tensor input, BlockProbe probe)
    {
        using var wide = In.Apply(input);
        probe.Observe(ActivationKind.MlpIn, wide);
        using var hidden = Activation.Apply(wide);
        probe.Observe(ActivationKind.MlpHidden, hidden);
        return Out.Apply(hidden);
    }
}

/// <summary>Multi-head attention in float.</summary>
public sealed class Attention : IAttention
{
    /// <summary>The one instance: float attention has no state.</summary>
    public static Attention Float { get; } = new();

    /// <inheritdoc />
    public Tensor Apply(Tensor query, Tensor key, Tensor value, AttentionExtras extras, BlockProbe probe) => TensorScope.Run(() =>
    {
        var keys = Prepend(extras.PrefixKeys, key);
        var values = Prepend(extras.PrefixValues, value);
        var logits = ScaledProducts(query, keys);
        if (extras.Bias is { } bias)
        {
            logits = logits + PadColumns(bias, extras.PrefixKeys);
        }

        var probabilities = logits.softmax(-1);
        probabilities = extras.Dropout?.Invoke(probabilities) ?? probabilities;
        probe.Observe(ActivationKind.AttentionProbabilities, probabilities);
        return probabilities.matmul(values);
    });

    // The batched product reads the transposed keys in place, where matmul would copy them.
    private static Tensor ScaledProducts(Tensor query, Tensor keys)
    {
        var (images, heads, rows, width) = (query.shape[0], query.shape[1], query.shape[2], query.shape[3]);
        using var scaled = query * (1 / Math.Sqrt(width));
        return torch.bmm(
            scaled.reshape(images * heads, rows, width),
            keys.reshape(images * heads, -1, width).transpose(1, 2)).view(images, heads, rows, -1);
    }

    /// <summary>Puts prefix rows [H,P,d] in front of rows [B,H,N,d].</summary>
    internal static Tensor Prepend(Tensor? prefix, Tensor rows) => prefix is null
        ? rows
        : torch.cat([prefix.to(rows.dtype).unsqueeze(0).expand(rows.shape[0], -1, -1, -1), rows], 2);

    /// <summary>Extends a bias over the block's own columns by zeros for the prefix columns in front.</summary>
    internal static Tensor PadColumns(Tensor bias, Tensor? prefix) => prefix is null
        ? bias
        : torch.nn.functional.pad(bias, [prefix.shape[1], 0]);
}
