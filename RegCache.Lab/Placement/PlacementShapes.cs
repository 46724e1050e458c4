using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;

namespace RegCache.Lab.Placement;

/// <summary>
/// What a checkpoint without a configuration tells of its classifier: shapes and names tell the architecture, options that training kept
/// beside the weights tell where tokens enter. What neither tells is assumed, and said.
/// </summary>
internal static class PlacementShapes
{
    private const double DynamicEpsilon = 1e-5, DeitEpsilon = 1e-6;

    /// <summary>The configuration that a file tells of.</summary>
    /// <param name="file">The file.</param>
    /// <param name="state">The model's tensors in it.</param>
    /// <param name="options">What is given, and who is told what was assumed.</param>
    /// <exception cref="UserException">The tensors are not those of such a classifier, or something cannot be known.</exception>
    public static PlacementConfig Infer(WeightFile file, StateDict state, PlacementLoadOptions options)
    {
        var source = state.Source;
        var patch = Shape(PlacementParameters.PatchWeight, 4);
        var positions = Shape(PlacementParameters.Positions, 3)[1];
        var hidden = Shape("blocks.0.mlp.fc1.weight", 2)[0];
        var (width, side) = (patch[0], (Height: patch[2], Width: patch[3]));
        var depth = Enumerable.Range(0, state.Tensors.Count + 1).First(block => !state.Contains($"blocks.{block}.norm1.weight"));
        var isDistilled = state.Contains(PlacementParameters.DistillationToken);
        var leading = isDistilled && SideOf(positions) is null ? 2 : 0;
        var grid = SideOf(positions - leading) ?? throw new UserException(
            $"{source}: the position table has {positions} rows, which are neither a square grid of patches nor one with a class and a distillation token; a model whose class token has a position is a plain ViT.");
        var qkvBias = state.Contains("blocks.0.attn.qkv.bias");
        var epsilon = qkvBias ? DeitEpsilon : DynamicEpsilon;
        options.Assumptions?.Add($"The norms are taken to add {epsilon:g} to variances, as {(qkvBias ? "DeiT's models do" : "the published code does")}; the weights do not tell.");
        var registers = state.Find(PlacementParameters.Registers) is { Shape: [_, var rows, _] } ? (int)rows : 0;
        var hasLateTokens = leading == 0;
        var classBlock = hasLateTokens ? Place("cls_pos", "class token", options.ClassBlock) : 0;
        return new()
        {
            ImageSize = (grid * side.Height, grid * side.Width),
            PatchSize = side,
            Channels = patch[1],
            Classes = state.Find("head.weight") is { Shape: [var classes, _] } ? (int)classes : 0,
            Width = width,
            Depth = depth,
            Heads = Heads(),
            MlpRatio = MlpRatios.Of(hidden, width),
            QkvBias = qkvBias,
            Epsilon = epsilon,
            Block = (state.Contains("blocks.0.norm11.weight"), state.Contains("blocks.0.gamma_1")) switch
            {
                (true, true) => BlockKind.ParallelLayerScale,
                (true, false) => BlockKind.Parallel,
                (false, true) => BlockKind.LayerScale,
                (false, false) => BlockKind.Plain,
            },
            Registers = registers,
            ClassBlock = classBlock,
            RegisterBlock = registers == 0 ? 0 : Place("reg_pos", "registers", options.RegisterBlock),
            DistillationBlock = isDistilled && hasLateTokens ? options.DistillationBlock ?? Said("dist_pos") ?? classBlock : null,
            DeitDistilled = leading > 0,
        };

        int[] Shape(string name, int axes)
        {
            var shape = state[name].Shape;
            return shape.Count == axes && shape.All(size => size is > 0 and <= int.MaxValue) ? [.. shape.Select(size => (int)size)] : throw new UserException(
                $"{source}: `{name}` has shape {WeightEntry.Describe(shape)}, which no ViT classifier has; check what the file holds.");
        }

        int Heads()
        {
            if (options.Heads is { } given)
            {
                return given;
            }

            var known = PublishedModels.HeadsOf(PublishedModels.All.Classifier, width, depth, hidden) ?? throw new UserException(
                $"{source} does not tell how many heads its {width} channels have, and no published model does; give --heads.");
            options.Assumptions?.Add($"The model is taken to have {PublishedModels.Count(known.Heads)}, {known.Reason}; the weights do not tell (--heads does).");
            return known.Heads;
        }

        int Place(string name, string what, int? given)
        {
            if ((given ?? Said(name)) is { } block)
            {
                return block;
            }

            options.Assumptions?.Add($"The {what} {(what.EndsWith('s') ? "are" : "is")} taken to enter before block 0; the file does not tell (--{name.Replace('_', '-')} does).");
            return 0;
        }

        int? Said(string name) => Options(file)?.TryGet<long>(name, out var value) is true && value is >= 0 and <= int.MaxValue ? (int)value : null;
    }

    // Training scripts keep their parsed command line beside the weights, as an object or as a dict.
    private static PythonDict? Options(WeightFile file) => file.Root is PythonDict root && root.TryGetValue("args", out var args)
        ? args as PythonDict ?? (args as PythonObject)?.Attributes
        : null;

    private static int? SideOf(long number) => (int)Math.Round(Math.Sqrt(number)) is > 0 and var side && (long)side * side == number ? side : null;
}
