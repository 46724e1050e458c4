using RegCache.Lab.Encoders;

namespace RegCache.Lab.Training.Clip;

/// <summary>The number format of a training.</summary>
public enum TrainingPrecision
{
    /// <summary>float32 throughout.</summary>
    Fp32,

    /// <summary>Matrix products in bfloat16, everything else in float32; see <see cref="Bf16Precision"/>.</summary>
    AmpBf16,
}

/// <summary>
/// Mixed precision, as autocast does it: inputs and weights of linear layers and attention products are cast to bfloat16; the
/// residual stream, norms, softmax and the weights themselves stay float32.
/// </summary>
public sealed record Bf16Precision : ILayerTransform
{
    /// <inheritdoc />
    public BlockLayers Apply(int block, BlockLayers plain) => Enum.GetValues<LinearKind>().Aggregate(
        plain with { Attention = new Bf16Attention() }, (layers, kind) => layers.With(kind, linear => new Bf16Linear(linear)));

    private sealed record Bf16Linear(ILinear Plain) : ILinear
    {
        public Tensor Weight => Plain.Weight;

        public Tensor? Bias => Plain.Bias;

        public bool IsRowwise => Plain.IsRowwise;

        public Tensor Apply(Tensor input) => TensorScope.Run(() => torch.nn.functional.linear(
            input.to(torch.ScalarType.BFloat16), Weight.to(torch.ScalarType.BFloat16), Bias?.to(torch.ScalarType.BFloat16)).to(input.dtype));
    }

    private sealed record Bf16Attention : IAttention
    {
        public Tensor Apply(Tensor query, Tensor key, Tensor value, AttentionExtras extras, BlockProbe probe)
        {
            using var scope = torch.NewDisposeScope();
            Tensor Low(Tensor tensor) => tensor.to(torch.ScalarType.BFloat16);
            var keys = Attention.Prepend(extras.PrefixKeys, key);
            var values = Attention.Prepend(extras.PrefixValues, value);
            var logits = Low(query * (1 / Math.Sqrt(query.shape[^1]))).matmul(Low(keys).transpose(-2, -1)).to(query.dtype);
            if (extras.Bias is { } bias)
            {
                logits = logits + Attention.PadColumns(bias, extras.PrefixKeys);
            }

            var probabilities = logits.softmax(-1);
            probabilities = extras.Dropout?.Invoke(probabilities) ?? probabilities;
            probe.Observe(ActivationKind.AttentionProbabilities, probabilities);
            return Low(probabilities).matmul(Low(values)).to(query.dtype).MoveToOuterDisposeScope();
        }
    }
}
