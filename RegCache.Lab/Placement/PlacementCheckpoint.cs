using System.Text;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Placement;

/// <summary>How a classifier is loaded: what its file does not tell, and what is to differ from it.</summary>
public sealed record PlacementLoadOptions
{
    /// <summary>Attention heads, where no configuration tells them; null: as published models of these shapes have.</summary>
    public int? Heads { get; init; }

    /// <summary>The class token enters before this block; null: as the file says, else 0.</summary>
    public int? ClassBlock { get; init; }

    /// <summary>The registers enter before this block; null: as the file says, else 0.</summary>
    public int? RegisterBlock { get; init; }

    /// <summary>The distillation token enters before this block; null: as the file says, else with the class token.</summary>
    public int? DistillationBlock { get; init; }

    /// <summary>Number of registers, to be compared with the file's; null: whatever it has.</summary>
    public int? Registers { get; init; }

    /// <summary>Input size in pixels, for which the position table is resized; null: the file's.</summary>
    public (int Height, int Width)? ImageSize { get; init; }

    /// <summary>Classes of a new head, where they differ from the file's; null: the file's head.</summary>
    public int? Classes { get; init; }

    /// <summary>The seed of a new head.</summary>
    public long Seed { get; init; }

    /// <summary>Where the model's tensors are in a checkpoint of several models, such as "model_ema"; null: wherever the only model is, or "model".</summary>
    public string? WeightsKey { get; init; }

    /// <summary>Receives what was assumed about the model, one sentence each; null for nobody.</summary>
    public ICollection<string>? Assumptions { get; init; }

    /// <summary>Where the model computes.</summary>
    public torch.Device Device { get; init; } = torch.CPU;

    /// <summary>The number type of its matrices.</summary>
    public torch.ScalarType Type { get; init; } = torch.ScalarType.Float32;

    /// <summary>How blocks run where no gradients are wanted; null runs the tensor operators, as training must.</summary>
    public IBackend? Backend { get; init; }
}

/// <summary>
/// Checkpoints of classifiers with late tokens. A folder holds <c>model.safetensors</c>, which carries its configuration, and the same as
/// <c>config.json</c>. Files of the PyTorch code are read, too: a bare table or one under "model", with any number of "module." before
/// its names, and the places of the tokens from the options beside it (docs/methods/late-tokens.md, "Weights").
/// </summary>
public static class PlacementCheckpoint
{
    private const string WeightsName = "model.safetensors";
    private const string ConfigName = "config.json";
    private const string MetadataKey = "vit_cfg";
    private const string UpstreamKey = "model.";

    /// <summary>Writes a classifier.</summary>
    /// <param name="folder">The folder; it is created.</param>
    /// <param name="config">Shapes and places.</param>
    /// <param name="weights">Its parameters, of which only those that <see cref="PlacementParameters.Of"/> names are written.</param>
    /// <exception cref="UserException">A file cannot be written.</exception>
    public static void Save(string folder, PlacementConfig config, WeightTable weights)
    {
        ArgumentNullException.ThrowIfNull(config);
        ArgumentNullException.ThrowIfNull(weights);
        var json = config.ToJson();
        var entries = PlacementParameters.Of(config).Select(parameter => WeightEntry.FromTensor(parameter.Name, weights[parameter.Name]));
        // The PyTorch code expects a table of registers even where there are none.
        var none = WeightEntry.FromValues<float>(PlacementParameters.Registers, [], 1, 0, config.Width);
        SafetensorsWriter.Write(
            Path.Combine(folder, WeightsName),
            config.Registers > 0 || config.DeitDistilled ? entries : entries.Append(none),
            new Dictionary<string, string> { ["format"] = "pt", [MetadataKey] = json });
        AtomicFile.WriteText(Path.Combine(folder, ConfigName), json + "\n");
    }

    /// <summary>Whether a file or folder holds such a classifier: one with a configuration of it, or with tensors that no plain ViT has.</summary>
    /// <exception cref="UserException">The file cannot be read.</exception>
    public static bool Recognises(string path)
    {
        if (Directory.Exists(path))
        {
            return File.Exists(Path.Combine(path, WeightsName)) && ConfigBeside(path) is not null;
        }

        if (!File.Exists(path))
        {
            return false;
        }

        using var file = WeightFile.Open(path);
        if (file.Metadata.ContainsKey(MetadataKey))
        {
            return true;
        }

        var prefix = file.Tensors.Select(entry => entry.Name).FirstOrDefault(IsPatchWeight)?[..^PlacementParameters.PatchWeight.Length];
        return prefix is not null && (ConfigBeside(Path.GetDirectoryName(Path.GetFullPath(path))!) is not null || new[]
        {
            PlacementParameters.Registers, "blocks.0.gamma_1", "blocks.0.norm11.weight",
        }.Any(name => file.Contains(prefix + name)) || (file.Contains(prefix + PlacementParameters.ClassToken)
            && file.Tensors.FirstOrDefault(entry => entry.Name == prefix + PlacementParameters.Positions)?.Shape is [_, var positions, _] && IsSquare(positions)));
    }

    /// <summary>The weight file of a model that is named by its file or its folder.</summary>
    public static string WeightsOf(string path) => Directory.Exists(path) ? Path.Combine(path, WeightsName) : path;

    /// <summary>The name of such a model, for files and tables: its folder's, or its file's where the folder holds others, too.</summary>
    public static string NameOf(string path)
    {
        var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        return Path.GetFileName(full) == WeightsName ? Path.GetFileName(Path.GetDirectoryName(full)!) : Path.GetFileNameWithoutExtension(full);
    }

    /// <summary>Loads a classifier.</summary>
    /// <exception cref="UserException">It cannot be read, holds another kind of model, or does not fit its configuration or the options.</exception>
    internal static DynamicVit Load(string path, PlacementLoadOptions options)
    {
        var place = WeightsOf(path);
        using var file = WeightFile.Open(place);
        using var scope = torch.NewDisposeScope();
        var state = StateOf(file, options);
        var config = ConfigOf(file, state, options).Validated();
        if (options.Registers is { } registers && registers != config.Registers)
        {
            throw new UserException($"{place} has {config.Registers} registers, not {registers}; correct the number (--num-reg).");
        }

        state = Fitted(state, config);
        var target = (config with { Classes = options.Classes ?? config.Classes, ImageSize = options.ImageSize ?? config.ImageSize }).Validated();
        var placed = new WeightTable(place, Tensors(state, config, target, options.Seed)).Place(options.Device, options.Type);
        try
        {
            return new(target, placed, options.Backend);
        }
        catch
        {
            placed.Dispose();
            throw;
        }
    }

    /// <summary>Resizes the rows of a position table that belong to patches, bicubic without aligned corners.</summary>
    /// <param name="table">The table [1,k+h w,D].</param>
    /// <param name="leading">Rows k before those of the patches, which stay.</param>
    /// <param name="from">Its grid (h, w).</param>
    /// <param name="to">The wanted grid.</param>
    public static Tensor Resize(Tensor table, int leading, (int Height, int Width) from, (int Height, int Width) to) => TensorScope.Run(() =>
    {
        var (rows, width) = (table.shape[1] - leading, table.shape[2]);
        var grid = table.narrow(1, leading, rows).transpose(1, 2).reshape(1, width, from.Height, from.Width);
        var resized = torch.nn.functional.interpolate(grid, size: [to.Height, to.Width], mode: torch.InterpolationMode.Bicubic, align_corners: false);
        var patches = resized.flatten(2).transpose(1, 2);
        return (leading == 0 ? patches : torch.cat([table.narrow(1, 0, leading), patches], 1)).contiguous();
    });

    private static bool IsPatchWeight(string name) => ClipWeights.EndsWithName(name, PlacementParameters.PatchWeight);

    private static bool IsSquare(long number) => Math.Round(Math.Sqrt(number)) is var side && side * side == number;

    private static string? ConfigBeside(string folder) =>
        Path.Combine(folder, ConfigName) is var path && File.Exists(path) && PlacementConfig.Recognises(JsonFields.ReadFile(path)) ? path : null;

    // The model's tensors under its own names.
    private static StateDict StateOf(WeightFile file, PlacementLoadOptions options)
    {
        string[] prefixes = [.. file.Tensors.Select(entry => entry.Name).Where(IsPatchWeight).Select(name => name[..^PlacementParameters.PatchWeight.Length])];
        var key = options.WeightsKey;
        if (key is null && prefixes.Length > 1 && prefixes.Any(prefix => prefix.StartsWith(UpstreamKey, StringComparison.Ordinal)))
        {
            key = UpstreamKey;
            options.Assumptions?.Add($"{file.Path} holds {prefixes.Length} models; the one under `model` is taken (--weights-key says otherwise).");
        }

        var index = ClipWeights.Choose(file.Path, prefixes, key)
            ?? throw new UserException($"{file.Path} has no tensor `{PlacementParameters.PatchWeight}`; it does not hold a ViT classifier.");
        return new(file.Path, file.Tensors
            .Where(entry => entry.Name.StartsWith(prefixes[index], StringComparison.Ordinal))
            .Select(entry => entry.Rename(entry.Name[prefixes[index].Length..]))
            .Where(entry => prefixes[index].Length > 0 || !VitClassifierLoader.IsTrainingState(entry.Name)));
    }

    private static PlacementConfig ConfigOf(WeightFile file, StateDict state, PlacementLoadOptions options)
    {
        var said = file.Metadata.TryGetValue(MetadataKey, out var json) ? PlacementConfig.Parse(JsonFields.Parse(Encoding.UTF8.GetBytes(json), Metadata()), Metadata())
            : ConfigBeside(Path.GetDirectoryName(Path.GetFullPath(file.Path))!) is { } beside ? PlacementConfig.Parse(JsonFields.ReadFile(beside), beside)
            : null;
        if (said is not null && options.Heads is { } heads && heads != said.Heads)
        {
            throw new UserException($"{file.Path} has {said.Heads} heads, not {heads}; leave out --heads.");
        }

        var config = said ?? PlacementShapes.Infer(file, state, options);
        return config with
        {
            ClassBlock = options.ClassBlock ?? config.ClassBlock,
            RegisterBlock = options.RegisterBlock ?? config.RegisterBlock,
            DistillationBlock = config.DistillationBlock is { } block ? options.DistillationBlock ?? block : null,
        };

        string Metadata() => $"{file.Path}, metadata {MetadataKey}";
    }

    // What the file has under the configuration's names, if it is just that.
    private static StateDict Fitted(StateDict state, PlacementConfig config)
    {
        var present = state.Select(entry => entry.Name == PlacementParameters.Registers && entry.ElementCount == 0 && config.Registers == 0 ? null : entry);
        var wanted = PlacementParameters.Of(config).ToList();
        var names = wanted.Select(parameter => parameter.Name).ToHashSet();
        var differences = new StateDictDifferences(
            [.. names.Where(name => !present.Contains(name))],
            [.. present.Tensors.Select(entry => entry.Name).Where(name => !names.Contains(name))],
            [
                .. wanted.Where(parameter => present.Find(parameter.Name) is { } entry && !entry.Shape.SequenceEqual(parameter.Shape))
                    .Select(parameter => $"{present[parameter.Name]} instead of {WeightEntry.Describe(parameter.Shape)}"),
            ]);
        return differences.IsEmpty ? present : throw new UserException(
            $"{state.Source} does not fit its model: {differences}; use the configuration that belongs to these weights.");
    }

    private static IEnumerable<KeyValuePair<string, Tensor>> Tensors(StateDict state, PlacementConfig config, PlacementConfig target, long seed)
    {
        using var fresh = target.Classes == config.Classes ? null : PlacementParameters.Draw(target, seed);
        foreach (var (name, _) in PlacementParameters.Of(target))
        {
            yield return KeyValuePair.Create(
                name,
                fresh is not null && name.StartsWith("head", StringComparison.Ordinal) ? fresh[name].clone()
                : name == PlacementParameters.Positions && config.Grid != target.Grid ? Resize(Own(name), config.PositionedTokens, config.Grid, target.Grid)
                : Own(name));
        }

        Tensor Own(string name) => state[name].ToTensor(torch.ScalarType.Float32);
    }
}
