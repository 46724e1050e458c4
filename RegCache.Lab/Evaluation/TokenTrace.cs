using RegCache.Lab.Encoders;

namespace RegCache.Lab.Evaluation;

/// <summary>How many tokens of an image one block works on.</summary>
/// <param name="Attention">Tokens that enter attention.</param>
/// <param name="Mlp">Tokens that enter the MLP and leave the block.</param>
/// <param name="StageMacs">Multiply-accumulates of the block's token stages.</param>
internal sealed record TokenTrace(long Attention, long Mlp, long StageMacs)
{
    /// <summary>Runs the token stages of a plan, and nothing else, on random tokens of one image.</summary>
    public static IReadOnlyList<TokenTrace> Of(VisionConfig config, EncoderPlan plan)
    {
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        using var generator = new torch.Generator(0);
        Tensor Random(params long[] shape) => torch.rand(shape, generator: generator);
        var layout = new TokenLayout(config.ClassTokens, 0, config.Grid.Height, config.Grid.Width);
        var stream = new TokenBatch(Random(1, config.Patches + config.ClassTokens, config.Width), layout);
        var traces = new List<TokenTrace>();
        foreach (var (block, seams) in plan.Blocks.Index())
        {
            var macs = 0L;
            TokenBatch Run(TokenBatch batch, ITokenStage stage, StageContext context)
            {
                macs += stage.Macs(batch, context);
                return stage.Apply(batch, context);
            }

            stream = seams.Before.Aggregate(stream, (batch, stage) => Run(batch, stage, new(block)));
            var length = stream.Length;
            if (seams.Between.Count > 0)
            {
                var context = new StageContext(block)
                {
                    Keys = Random(1, config.Heads, length, config.HeadWidth),
                    Queries = Random(1, config.Heads, length, config.HeadWidth),
                };
                stream = seams.Between.Aggregate(stream, (batch, stage) => Run(batch, stage, context));
            }

            traces.Add(new(length, stream.Length, macs));
        }

        return traces;
    }
}
