namespace RegCache.Lab.Pooling;

/// <summary>
/// Losses that hold the share of boundaries, or teach where they are (docs/methods/dynamic-pooling.md, "Losses of boundaries"). Hard boundaries are
/// straight-through values [B,T], 0 or 1, with gradient. All results are [].
/// </summary>
public static class BoundaryLosses
{
    /// <summary>
    /// The binomial prior (Nawrot et al. 2023, arXiv:2211.09761): minus the log probability of k boundaries among n positions at rate alpha, over n, mean over
    /// samples. Its gradient is <c>-(ln(alpha / (1 - alpha)) - psi(k + 1) + psi(n - k + 1)) / (n B)</c> at every position.
    /// </summary>
    /// <param name="hard">Hard boundaries.</param>
    /// <param name="rate">The wanted rate alpha, between 0 and 1.</param>
    /// <param name="valid">Which positions there are [B,T], bool; null: all.</param>
    public static Tensor Binomial(Tensor hard, double rate, Tensor? valid = null)
    {
        RequireRate(rate);
        using var lengths = valid?.sum(1).to(torch.ScalarType.Float64) ?? torch.full([hard.shape[0]], hard.shape[1], torch.ScalarType.Float64, hard.device);
        return Prior.apply(hard, rate, lengths);
    }

    /// <summary>What a rate costs outside a band: <c>mean_b [max(r - high, 0) + max(low - r, 0)]</c>.</summary>
    /// <param name="hard">Hard boundaries.</param>
    /// <param name="low">Lowest rate that is free.</param>
    /// <param name="high">Highest one.</param>
    /// <param name="valid">Which positions there are [B,T], bool; null: all.</param>
    /// <exception cref="UserException">The bounds are swapped or outside 0 and 1.</exception>
    public static Tensor Range(Tensor hard, double low, double high, Tensor? valid = null)
    {
        RequireBand(low, high);
        return TensorScope.Run(() =>
        {
            var rates = valid is null ? hard.mean([1]) : hard.sum(1) / valid.sum(1);
            return Hinge(rates - high).add(Hinge(low - rates)).mean();
        });
    }

    /// <summary>
    /// The same band with a lower end that follows the spread of the batch: from <c>alpha - lambda std_b(r)</c> to alpha. The standard deviation is the
    /// population's, and has a gradient.
    /// </summary>
    /// <param name="hard">Hard boundaries.</param>
    /// <param name="rate">The wanted rate alpha.</param>
    /// <param name="deviations">How many standard deviations lambda the lower end is below it.</param>
    public static Tensor LowerBound(Tensor hard, double rate, double deviations)
    {
        RequireRate(rate);
        return TensorScope.Run(() =>
        {
            var rates = hard.mean([1]);
            var low = rate - (deviations * (rates - rates.mean()).square().mean().sqrt());
            return Hinge(rates - rate).add(Hinge(low - rates)).mean();
        });
    }

    /// <summary>
    /// H-Net's ratio loss (Hwang et al. 2025, arXiv:2507.07955): with F the share of hard boundaries, G the mean probability and N = 1 / rate,
    /// <c>N / (N - 1) [(N - 1) F G + (1 - F)(1 - G)]</c>. F has no gradient. It is 1 where F = G = 1 / N.
    /// </summary>
    /// <param name="hard">The boundaries [B,T].</param>
    /// <param name="probabilities">Their probabilities [B,T].</param>
    /// <param name="factor">The downsampling factor N, above 1.</param>
    /// <param name="perSample">Whether F and G are of every sample, and their losses averaged, or of the whole batch.</param>
    public static Tensor Ratio(Tensor hard, Tensor probabilities, double factor, bool perSample)
    {
        if (!(factor > 1 && double.IsFinite(factor)))
        {
            throw new UserException($"The downsampling factor is {factor}, but must be above 1, which is a boundary rate below 1.");
        }

        return TensorScope.Run(() =>
        {
            var marks = hard.detach().to(torch.ScalarType.Float32);
            var share = perSample ? marks.mean([1]) : marks.mean();
            var mean = perSample ? probabilities.mean([1]) : probabilities.mean();
            return ((((factor - 1) * share * mean) + ((1 - share) * (1 - mean))) * (factor / (factor - 1))).mean();
        });
    }

    /// <summary>The binary cross entropy of the logits: the supervised predictor's loss.</summary>
    /// <param name="scores">The scores.</param>
    /// <param name="target">Where boundaries should be [B,T], bool.</param>
    /// <param name="legacy">
    /// Upstream's loss, which takes the sigmoid a second time: <c>mean(ln(1 + e^p) - y p)</c> of the probabilities p. Only for comparisons with it.
    /// </param>
    public static Tensor Supervised(BoundaryScores scores, Tensor target, bool legacy = false) => TensorScope.Run(() =>
        torch.nn.functional.binary_cross_entropy_with_logits(
            legacy ? scores.Probabilities : scores.Logits.to(torch.ScalarType.Float32), target.to(torch.ScalarType.Float32)));

    /// <summary>Refuses a rate that is none.</summary>
    /// <exception cref="UserException">It is not between 0 and 1.</exception>
    public static void RequireRate(double rate, string what = "The boundary rate")
    {
        if (!(rate > 0 && rate < 1))
        {
            throw new UserException($"{what} is {rate}, but must be above 0 and below 1: it is the share of positions that are boundaries, such as 0.2.");
        }
    }

    /// <summary>Refuses a band of rates that is none.</summary>
    /// <exception cref="UserException">The bounds are swapped or outside 0 and 1.</exception>
    public static void RequireBand(double low, double high)
    {
        if (!(low >= 0 && low <= high && high <= 1))
        {
            throw new UserException($"The band of boundary rates is {low} to {high}: the lower bound must come first, and both must be between 0 and 1.");
        }
    }

    private static Tensor Hinge(Tensor excess) => torch.nn.functional.relu(excess);

    /// <summary>The prior in float64, as the logarithms of factorials are large and nearly cancel.</summary>
    private sealed class Prior : torch.autograd.SingleTensorFunction<Prior>
    {
        public override string Name => "BinomialPrior";

        public override Tensor forward(torch.autograd.AutogradContext ctx, params object[] vars)
        {
            var (hard, rate) = ((Tensor)vars[0], (double)vars[1]);
            var length = (Tensor)vars[2];
            ctx.save_for_backward([hard, length]);
            ctx.save_data("rate", rate);
            using var scope = torch.NewDisposeScope();
            var marks = hard.sum([1], type: torch.ScalarType.Float64);
            var rest = length - marks;
            var whole = (length + 1).lgamma();
            var logs = whole - (marks + 1).lgamma() - (rest + 1).lgamma() + (marks * Math.Log(rate)) + (rest * Math.Log(1 - rate));
            return (-(logs / length).mean()).to(torch.ScalarType.Float32).MoveToOuterDisposeScope();
        }

        public override List<Tensor> backward(torch.autograd.AutogradContext ctx, Tensor grad_output)
        {
            using var scope = torch.NewDisposeScope();
            var saved = ctx.get_saved_variables();
            var (hard, length, rate) = (saved[0], saved[1], (double)ctx.get_data("rate"));
            var batch = hard.shape[0];
            var marks = hard.sum([1], type: torch.ScalarType.Float64);
            var slope = (marks + 1).digamma() - (length - marks + 1).digamma() - Math.Log(rate / (1 - rate));
            var gradient = (slope / (length * batch)).to(torch.ScalarType.Float32).unsqueeze(1).expand(hard.shape) * grad_output;
            return [gradient.to(hard.dtype).MoveToOuterDisposeScope(), null!, null!];
        }
    }
}
