using System.Diagnostics;
using CsvHelper;
using RegCache.Lab.Encoders;

namespace RegCache.Lab.Evaluation;

/// <summary>The parts of an encoder that multiply.</summary>
public enum MacsKind
{
    /// <summary>The patch embedding, V D for each patch of V values.</summary>
    PatchEmbedding,

    /// <summary>Queries, keys, values and output of attention, 4 N D^2.</summary>
    AttentionLinears,

    /// <summary>The two products of attention, 2 N (N + prefix) D.</summary>
    AttentionProducts,

    /// <summary>The MLP, 2 rho M D^2.</summary>
    Mlp,

    /// <summary>The memory layers.</summary>
    Memory,

    /// <summary>The projection or classification head.</summary>
    Head,

    /// <summary>What token stages cost to decide, which the model's total leaves out.</summary>
    Matching,
}

/// <summary>What one part of one block costs.</summary>
/// <param name="Block">The block, 0-based; null outside the blocks.</param>
/// <param name="Kind">The part.</param>
/// <param name="Tokens">Tokens that it works on.</param>
/// <param name="Macs">Multiply-accumulates per image.</param>
[CsvRecord]
public sealed partial record MacsRow(int? Block, MacsKind Kind, long Tokens, long Macs);

/// <summary>
/// Multiply-accumulates of one image under a plan, by block and kind; papers on token compression call them FLOPs. Norms,
/// softmax, activations and biases are not counted.
/// </summary>
/// <param name="Rows">One row for each part of each block.</param>
/// <param name="FinalTokens">Tokens that leave the last block.</param>
public sealed record MacsTable(ValueList<MacsRow> Rows, long FinalTokens)
{
    /// <summary>The model's multiply-accumulates; matching is apart.</summary>
    public long Total => Rows.Where(row => row.Kind != MacsKind.Matching).Sum(row => row.Macs);

    /// <summary>Multiply-accumulates of the decisions of token stages.</summary>
    public long Matching => Of(MacsKind.Matching);

    /// <summary>Multiply-accumulates of one kind in all blocks.</summary>
    public long Of(MacsKind kind) => Rows.Where(row => row.Kind == kind).Sum(row => row.Macs);

    /// <summary>
    /// Accounts for a plan without running the model: only its token stages run, on random tokens of one image. Stages
    /// that decide how many tokens stay by the tokens' content are counted for that image, or for the number that they are meant to leave.
    /// </summary>
    /// <param name="config">The tower's architecture.</param>
    /// <param name="outputs">Channels of the feature, or classes of a classifier.</param>
    /// <param name="plan">The plan.</param>
    /// <exception cref="UserException">The plan does not fit the architecture.</exception>
    public static MacsTable Of(VisionConfig config, int outputs, EncoderPlan plan) => 
        Of(config, outputs, plan, block =>
        [
            .. config.LateTokens?.Before(block, count => torch.zeros(count, config.Width)) ?? [],
            .. config.Pooling?.Stages(config, block) ?? [],
        ]);

    /// <summary>The same of a tower, with the token stages that belong to its blocks.</summary>
    /// <param name="tower">The tower.</param>
    /// <param name="plan">The plan.</param>
    public static MacsTable Of(VisionTower tower, EncoderPlan plan) =>
        Of(tower.Config, tower.Features, plan, block => tower.Blocks[block].Before);

    private static MacsTable Of(VisionConfig config, int outputs, EncoderPlan plan, Func<int, IEnumerable<ITokenStage>> architecture)
    {
        long width = config.Width;
        var rows = new List<MacsRow>
        {
            new(null, MacsKind.PatchEmbedding, config.Patches, (long)config.Patches * config.Channels * config.Patch.Height * config.Patch.Width * width),
        };
        var tokens = (long)config.Patches + config.EmbeddedTokens;
        foreach (var (block, trace) in TokenTrace.Of(config, plan, architecture).Index())
        {
            var branches = config.Branches;
            var keys = trace.Attention + (plan.Blocks[block].Prefix is null ? 0 : plan.Blocks[block].PrefixCount);
            rows.Add(new(block, MacsKind.AttentionLinears, trace.Attention, 4 * branches * trace.Attention * width * width));
            rows.Add(new(block, MacsKind.AttentionProducts, trace.Attention, 2 * branches * trace.Attention * keys * width));
            rows.Add(config.Memory is { } memory && memory.Blocks.Contains(block)
                ? new(block, MacsKind.Memory, trace.Mlp, trace.Mlp * memory.MacsPerToken(config.Width))
                : new(block, MacsKind.Mlp, trace.Mlp, 2 * branches * trace.Mlp * width * config.MlpWidth));
            if (trace.StageMacs > 0)
            {
                rows.Add(new(block, MacsKind.Matching, trace.Attention, trace.StageMacs));
            }

            tokens = trace.Mlp;
        }

        var pooled = config.PoolType switch
        {
            VisionPooling.ClassToken => Math.Max(1, config.ClassTokens),
            VisionPooling.Average => 1,
            VisionPooling.None => tokens,
            _ => throw new UnreachableException(),
        };
        rows.Add(new(null, MacsKind.Head, pooled, pooled * width * outputs));
        return new([.. rows], tokens);
    }
}

/// <summary>How many tokens of an image one block works on.</summary>
/// <param name="Attention">Tokens that enter attention.</param>
/// <param name="Mlp">Tokens that enter the MLP and leave the block.</param>
/// <param name="StageMacs">Multiply-accumulates of the block's token stages.</param>
internal sealed record TokenTrace(long Attention, long Mlp, long StageMacs)
{
    /// <summary>Runs the token stages of an architecture and a plan, and nothing else, on random tokens of one image.</summary>
    public static IReadOnlyList<TokenTrace> Of(VisionConfig config, EncoderPlan plan, Func<int, IEnumerable<ITokenStage>> architecture)
    {
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        using var generator = new torch.Generator(0);
        Tensor Random(params long[] shape) => torch.rand(shape, generator: generator);
        var layout = new TokenLayout(config.EmbeddedTokens, 0, config.Grid.Height, config.Grid.Width);
        var stream = new TokenBatch(Random(1, config.Patches + config.EmbeddedTokens, config.Width), layout);
        var traces = new List<TokenTrace>();
        foreach (var (block, seams) in plan.Blocks.Index())
        {
            var macs = 0L;
            TokenBatch Run(TokenBatch batch, ITokenStage stage, StageContext context)
            {
                macs += stage.Macs(batch, context);
                return stage.Expected.Apply(batch, context);
            }

            stream = architecture(block).Concat(seams.Before).Aggregate(stream, (batch, stage) => Run(batch, stage, new(block)));
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
