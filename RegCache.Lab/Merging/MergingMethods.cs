using RegCache.Lab.Encoders;

namespace RegCache.Lab.Merging;

/// <summary>A way to shorten the token stream: what runs in a block between attention and MLP.</summary>
/// <param name="Name">The name by which it is asked for, in commands, notebooks and result files.</param>
/// <param name="Help">What it is, in one line.</param>
/// <param name="Stage">
/// Makes the stage of a block in which tokens are to merge; null leaves the block dense. Throws <see cref="UserException"/>
/// where options and depth do not fit each other.
/// </param>
public sealed record MergingMethod(string Name, string Help, Func<MergeStep, ITokenStage?> Stage) : IListed
{
    /// <inheritdoc />
    public IReadOnlyList<MethodOption> Options { get; init; } = [];

    /// <inheritdoc />
    public override string ToString() => Name;
}

/// <summary>One block of an encoder in which a method is to merge tokens.</summary>
/// <param name="Block">The block, 0-based.</param>
/// <param name="Blocks">Blocks of the encoder.</param>
/// <param name="Count">Tokens to merge in this block, from 1 on.</param>
/// <param name="Setting">The setting that is applied: options, outliers, seed.</param>
public readonly record struct MergeStep(int Block, int Blocks, int Count, MergingSetting Setting)
{
    /// <summary>What the setting says about one of the method's options.</summary>
    /// <exception cref="UserException">The option does not take what was given.</exception>
    public T Get<T>(MethodOption<T> option) => Setting.Options.Get(option);
}

/// <summary>The merging methods and baselines of the kit. A new one is a new file and one line in <see cref="All"/>.</summary>
public static class MergingMethods
{
    /// <summary>How many blocks DFE leaves dense.</summary>
    public static MethodOption<int> Dense { get; } =
        MethodOption.Number("--dense", "First blocks, which dfe leaves dense: 2 of 12 and 4 of 24 as published.", 2, 0, 4096);

    /// <summary>The first block in which LGTM merges.</summary>
    public static MethodOption<int> LocalStart { get; } =
        MethodOption.Number("--local-start", "First block of lgtm that merges, inside windows.", 1, 0, 4096);

    /// <summary>The first block in which LGTM merges whole images.</summary>
    public static MethodOption<int?> GlobalStart { get; } = MethodOption.Number(
        "--global-start", "First block of lgtm that merges whole images.", "7 of 12 blocks, scaled to the model's", 0, 4096);

    /// <summary>ToMe (Bolya et al. 2023).</summary>
    public static MergingMethod ToMe { get; } = new(
        "tome", "Merges the most similar tokens of the whole image, in every block (ToMe).", WholeImage);

    /// <summary>DFE, the dense feature extractor (Heo et al. 2023).</summary>
    public static MergingMethod Dfe { get; } = new(
        "dfe", "Leaves the first blocks dense, then merges as tome (DFE).", AfterDenseBlocks)
    {
        Options = [Dense],
    };

    /// <summary>LGTM, local-global token merging (Heo et al. 2023).</summary>
    public static MergingMethod Lgtm { get; } = new(
        "lgtm",
        "Leaves the first blocks dense, then merges inside four windows, then as tome (LGTM).",
        step => LocalThenGlobal(step, step.Get(LocalStart), step.Get(GlobalStart) ?? ScaledGlobalStart(step.Blocks)))
    {
        Options = [LocalStart, GlobalStart],
    };

    /// <summary>Baseline: tokens drawn at random merge.</summary>
    public static MergingMethod RandomMerging { get; } = new(
        "random-merging",
        "Baseline: merges tokens drawn at random, each into its most similar other token.",
        step => new RandomMerging(step.Count, step.Setting.Seed));

    /// <summary>Baseline: tokens drawn at random are dropped.</summary>
    public static MergingMethod RandomPruning { get; } = new(
        "random-pruning", "Baseline: drops tokens drawn at random.", step => new RandomPruning(step.Count, step.Setting.Seed));

    /// <summary>Baseline: the tokens that the class token attends to least are dropped.</summary>
    public static MergingMethod AttentionPruning { get; } = new(
        "attention-pruning", "Baseline: drops the tokens that the class token attends to least.", step => new AttentionPruning(step.Count));

    /// <summary>All of them. The presets of LGTM are its published settings, as far as its figures and its text reveal them.</summary>
    public static OpenList<MergingMethod> All { get; } = new(
        "merging method",
        ToMe,
        Dfe,
        Lgtm,
        LgtmPreset("lgtm-s", "as published for ViT-S", 1, 7),
        LgtmPreset("lgtm-b", "as published for ViT-B", 1, 7),
        LgtmPreset("lgtm-l", "as published for ViT-L", 4, 7),
        LgtmPreset("lgtm-readme", "as its README says literally", 2, 7),
        RandomMerging,
        RandomPruning,
        AttentionPruning);

    /// <summary>Where LGTM goes over to whole images: block 7 of 12, scaled to another depth.</summary>
    public static int ScaledGlobalStart(int blocks) => (int)Math.Round(7.0 * blocks / 12, MidpointRounding.AwayFromZero);

    private static MergingMethod LgtmPreset(string name, string origin, int localStart, int globalStart) => new(
        name,
        $"lgtm {origin}: windows from block {localStart}, whole images from block {globalStart}.",
        step => LocalThenGlobal(step, localStart, globalStart));

    private static MergeTokens WholeImage(MergeStep step) => new(step.Count) { Outliers = step.Setting.Outliers };

    private static MergeTokens? AfterDenseBlocks(MergeStep step)
    {
        var dense = step.Get(Dense);
        if (dense > step.Blocks)
        {
            throw new UserException($"{dense} dense blocks do not fit a model of {step.Blocks} blocks; choose fewer.");
        }

        return step.Block < dense ? null : WholeImage(step);
    }

    // A local block merges in each of the four windows a quarter of its tokens, rounded up.
    private static ITokenStage? LocalThenGlobal(MergeStep step, int localStart, int globalStart)
    {
        if (localStart > globalStart || globalStart > step.Blocks)
        {
            throw new UserException(
                $"Merging in windows from block {localStart} and in whole images from block {globalStart} does not fit a model of {step.Blocks} blocks; choose 0 <= local <= global <= {step.Blocks}.");
        }

        return step.Block < localStart ? null
            : step.Block >= globalStart ? WholeImage(step)
            : new MergeInWindows((step.Count + WindowGrid.Windows - 1) / WindowGrid.Windows) { Outliers = step.Setting.Outliers };
    }
}
