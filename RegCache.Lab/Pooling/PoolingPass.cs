using RegCache.Lab.Encoders;

namespace RegCache.Lab.Pooling;

/// <summary>What one pass of a training draws for a tower's poolings, and what they report.</summary>
/// <param name="noise">Uniform numbers for a pooling, 0-based, of a shape [B,T]; asked again for the same one it gives the same. Null draws none.</param>
/// <param name="scale">Share of the step's loss that the pass has.</param>
public sealed class PoolingPass(Func<int, long, long, Tensor>? noise, double scale = 1) : IDisposable
{
    private const long Purpose = 602;

    private readonly SortedDictionary<int, (Tensor Loss, Tensor Rate)> _reports = [];

    /// <summary>A pass of a training whose noise comes from a stream.</summary>
    /// <param name="random">The stream; the same one draws the same.</param>
    /// <param name="device">Where the tower computes.</param>
    /// <param name="scale">Share of the step's loss that the pass has.</param>
    public static PoolingPass Of(CounterRandom random, torch.Device device, double scale = 1) => new(
        (index, batch, length) =>
        {
            var stream = random.Fork(Purpose + index);
            var values = new float[batch * length];
            foreach (ref var value in values.AsSpan())
            {
                value = (float)stream.NextUnit();
            }

            return torch.tensor(values, [batch, length], device: device);
        },
        scale);

    /// <summary>What the poolings' losses sum to, each with its weight, [], without history; null where there was no pooling.</summary>
    public Tensor? Loss => _reports.Count == 0 ? null : TensorScope.Run(() => _reports.Values.Select(report => report.Loss).Aggregate((sum, loss) => sum + loss));

    /// <summary>The share of patches that are left, [], the product of all poolings' rates; null where there was no pooling.</summary>
    public Tensor? Rate => _reports.Count == 0 ? null : TensorScope.Run(() => _reports.Values.Select(report => report.Rate).Aggregate((product, rate) => product * rate));

    /// <summary>The uniform numbers of a pooling [B,T]; null for none.</summary>
    public Tensor? Noise(int index, long batch, long length) => noise?.Invoke(index, batch, length);

    /// <summary>
    /// Lets a loss go along with tokens: they stay what they are, and whoever goes backwards through them goes backwards through the loss as well, with
    /// its weight. So every pass that ends in features alone trains boundaries, recomputed segments included.
    /// </summary>
    /// <param name="index">Which pooling, 0-based.</param>
    /// <param name="tokens">The pooled tokens.</param>
    /// <param name="pooling">How they were pooled.</param>
    /// <param name="weight">The loss's weight.</param>
    public Tensor Carry(int index, Tensor tokens, PooledTokens pooling, double weight)
    {
        if (_reports.TryGetValue(index, out var earlier))
        {
            earlier.Loss.Dispose();
            earlier.Rate.Dispose();
        }

        _reports[index] = TensorScope.Keep(TensorScope.Run(() => (pooling.Loss.detach() * weight, pooling.Rate.detach().clone())));
        return torch.is_grad_enabled() && pooling.Loss.requires_grad ? CarriedLoss.apply(tokens, pooling.Loss, weight * scale) : tokens;
    }

    /// <inheritdoc />
    public void Dispose()
    {
        foreach (var (loss, rate) in _reports.Values)
        {
            loss.Dispose();
            rate.Dispose();
        }

        _reports.Clear();
    }

    private sealed class CarriedLoss : torch.autograd.SingleTensorFunction<CarriedLoss>
    {
        public override string Name => nameof(CarriedLoss);

        public override Tensor forward(torch.autograd.AutogradContext ctx, params object[] vars)
        {
            ctx.save_for_backward([(Tensor)vars[1]]);
            ctx.save_data("weight", vars[2]);
            return ((Tensor)vars[0]).clone();
        }

        public override List<Tensor> backward(torch.autograd.AutogradContext ctx, Tensor grad_output) =>
            [grad_output.alias(), torch.full_like(ctx.get_saved_variables()[0], (double)ctx.get_data("weight")), null!];
    }
}

/// <summary>A pooling stage as a training runs it.</summary>
/// <param name="Stage">The stage.</param>
/// <param name="Pass">Draws and collects.</param>
/// <param name="Index">Which of the tower's poolings this is, 0-based.</param>
/// <param name="LossWeight">Weight of its loss.</param>
internal sealed record TrainedPooling(PoolRuns Stage, PoolingPass Pass, int Index, double LossWeight) : ITokenStage
{
    /// <inheritdoc />
    public TokenBatch Apply(TokenBatch batch, StageContext context) => TensorScope.Run(() =>
    {
        var (stream, pooling) = Stage.Pool(batch, training: true, Pass.Noise(Index, batch.Images, batch.Length - batch.Layout.ProtectedTokens));
        return stream with { Tokens = Pass.Carry(Index, stream.Tokens, pooling, LossWeight) };
    });
}
