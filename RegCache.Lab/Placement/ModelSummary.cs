using CsvHelper;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Placement;

/// <summary>One module of a classifier, or one of its parameters that belongs to no module.</summary>
/// <param name="Block">The block that it is in, 0-based; null outside the blocks.</param>
/// <param name="Name">Its path, as in checkpoints.</param>
/// <param name="Kind">What it is: Conv2d, LayerNorm, Linear, GELU, Softmax, Parameter.</param>
/// <param name="Output">The shape of its output with -1 for the batch, "[-1, 197, 192]"; empty for a parameter alone.</param>
/// <param name="Outputs">Numbers in the output of one image; 0 for a parameter alone.</param>
/// <param name="Parameters">Its own parameters.</param>
[CsvRecord]
public sealed partial record ModuleRow(int? Block, string Name, string Kind, string Output, long Outputs, long Parameters);

/// <summary>Tokens that a block works on.</summary>
/// <param name="Block">The block, 0-based.</param>
/// <param name="Class">Class and distillation tokens.</param>
/// <param name="Patches">Patch tokens.</param>
/// <param name="Registers">Registers.</param>
/// <param name="Macs">Multiply-accumulates of the block for one image.</param>
[CsvRecord]
public sealed partial record TokenRow(int Block, int Class, int Patches, int Registers, long Macs);

/// <summary>
/// A classifier module by module, in the order in which an image meets them. It is computed from the shapes: nothing runs, and no random
/// number is drawn.
/// </summary>
/// <param name="Rows">Modules and parameters.</param>
/// <param name="Tokens">Tokens block by block.</param>
/// <param name="Total">Parameters, each once.</param>
/// <param name="Trainable">Parameters that a training changes.</param>
/// <param name="Macs">Multiply-accumulates of one image.</param>
/// <param name="InputBytes">Bytes of one image as float32.</param>
public sealed record ModelSummary(IReadOnlyList<ModuleRow> Rows, IReadOnlyList<TokenRow> Tokens, long Total, long Trainable, MacsTable Macs, long InputBytes)
{
    /// <summary>Bytes of all modules' outputs for one image, and of as many gradients.</summary>
    public long PassBytes => 2 * sizeof(float) * Rows.Sum(row => row.Outputs);

    /// <summary>Bytes of the parameters as float32.</summary>
    public long ParameterBytes => sizeof(float) * Total;

    /// <summary>Summarises a classifier.</summary>
    /// <param name="config">Its shapes and places.</param>
    /// <param name="weights">Its parameters, which tell what is trained; null: all are.</param>
    /// <exception cref="UserException">The configuration is impossible.</exception>
    public static ModelSummary Of(PlacementConfig config, WeightTable? weights = null)
    {
        ArgumentNullException.ThrowIfNull(config);
        var clip = config.Validated().ToClip();
        var sizes = PlacementParameters.Of(config).ToDictionary(parameter => parameter.Name, parameter => parameter.Shape.Aggregate(1L, (product, size) => product * size));
        var macs = MacsTable.Of(clip.Vision, config.Classes, EncoderPlan.Plain(config.Depth));
        var rows = new Modules(config, sizes).List();
        var tokens = Enumerable.Range(0, config.Depth).Select(block =>
        {
            var (classes, registers) = Modules.TokensIn(config, block);
            return new TokenRow(block, classes, config.Patches, registers, macs.Rows.Where(row => row.Block == block).Sum(row => row.Macs));
        });
        return new(
            rows,
            [.. tokens],
            rows.Sum(row => row.Parameters),
            sizes.Where(size => weights?[size.Key].requires_grad ?? true).Sum(size => size.Value),
            macs,
            sizeof(float) * (long)config.Channels * config.ImageSize.Height * config.ImageSize.Width);
    }

    private sealed class Modules(PlacementConfig config, IReadOnlyDictionary<string, long> sizes)
    {
        private readonly List<ModuleRow> _rows = [];

        /// <summary>Class and distillation tokens, and registers, that are there while a block runs.</summary>
        public static (int Class, int Registers) TokensIn(PlacementConfig config, int block) => config.DeitDistilled ? (2, 0) : (
            (block >= config.ClassBlock ? 1 : 0) + (block >= (config.DistillationBlock ?? config.Depth) ? 1 : 0),
            block >= config.RegisterBlock ? config.Registers : 0);

        public List<ModuleRow> List()
        {
            Add(null, "patch_embed.proj", "Conv2d", config.Width, config.Grid.Height, config.Grid.Width);
            Parameter(null, PlacementParameters.Positions);
            if (config.DeitDistilled)
            {
                Parameter(null, PlacementParameters.ClassToken);
                Parameter(null, PlacementParameters.DistillationToken);
            }

            for (var block = 0; block < config.Depth; block++)
            {
                AddBlock(block);
            }

            var (classes, registers) = TokensIn(config, config.Depth - 1);
            Add(null, "norm", "LayerNorm", classes + config.Patches + registers, config.Width);
            foreach (var head in new[] { "head", "head_dist" }.Where(head => sizes.ContainsKey($"{head}.weight")))
            {
                Add(null, head, "Linear", config.Classes);
            }

            return _rows;
        }

        private void AddBlock(int block)
        {
            if (!config.DeitDistilled)
            {
                foreach (var (name, entry) in new (string, int?)[]
                {
                    (PlacementParameters.Registers, config.Registers > 0 ? config.RegisterBlock : null),
                    (PlacementParameters.DistillationToken, config.DistillationBlock),
                    (PlacementParameters.ClassToken, config.ClassBlock),
                }.Where(token => token.Item2 == block))
                {
                    Parameter(block, name);
                }
            }

            var (classes, registers) = TokensIn(config, block);
            long tokens = classes + config.Patches + registers;
            var path = $"blocks.{block}.";
            string[] suffixes = config.Branches == 2 ? ["", "1"] : [""];
            foreach (var suffix in suffixes)
            {
                Add(block, $"{path}norm1{suffix}", "LayerNorm", tokens, config.Width);
                Add(block, $"{path}attn{suffix}.qkv", "Linear", tokens, 3L * config.Width);
                Add(block, $"{path}attn{suffix}.softmax", "Softmax", config.Heads, tokens, tokens);
                Add(block, $"{path}attn{suffix}.proj", "Linear", tokens, config.Width);
                Gain(block, suffix.Length == 0 ? "gamma_1" : "gamma_1_1");
            }

            foreach (var suffix in suffixes)
            {
                Add(block, $"{path}norm2{suffix}", "LayerNorm", tokens, config.Width);
                Add(block, $"{path}mlp{suffix}.fc1", "Linear", tokens, config.MlpWidth);
                Add(block, $"{path}mlp{suffix}.act", "GELU", tokens, config.MlpWidth);
                Add(block, $"{path}mlp{suffix}.fc2", "Linear", tokens, config.Width);
                Gain(block, suffix.Length == 0 ? "gamma_2" : "gamma_2_1");
            }
        }

        private void Gain(int block, string name)
        {
            if (sizes.ContainsKey($"blocks.{block}.{name}"))
            {
                Parameter(block, $"blocks.{block}.{name}");
            }
        }

        private void Parameter(int? block, string name) => _rows.Add(new(block, name, "Parameter", "", 0, sizes[name]));

        private void Add(int? block, string name, string kind, params long[] output) => _rows.Add(new(
            block,
            name,
            kind,
            $"[{string.Join(", ", output.Prepend(-1))}]",
            output.Aggregate(1L, (product, size) => product * size),
            sizes.GetValueOrDefault($"{name}.weight") + sizes.GetValueOrDefault($"{name}.bias")));
    }
}
