using System.Collections.ObjectModel;
using RegCache.Lab.Memory;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>The named tensors of a model in the order of their file. Immutable; the tensors stay in the file.</summary>
public sealed class StateDict
{
    private readonly OrderedDictionary<string, WeightEntry> _tensors = [];

    /// <summary>Collects tensors under their names.</summary>
    /// <param name="source">Where they come from, for messages.</param>
    /// <param name="tensors">The tensors in order.</param>
    /// <exception cref="UserException">Two tensors have one name.</exception>
    public StateDict(string source, IEnumerable<WeightEntry> tensors)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        Source = source;
        foreach (var tensor in tensors)
        {
            if (!_tensors.TryAdd(tensor.Name, tensor))
            {
                throw new UserException($"{source} holds two tensors that are both called {tensor.Name}.");
            }
        }
    }

    /// <summary>Where the tensors come from.</summary>
    public string Source { get; }

    /// <summary>The tensors in order.</summary>
    public IReadOnlyList<WeightEntry> Tensors => _tensors.Values;

    /// <summary>The tensor of that name.</summary>
    /// <exception cref="UserException">There is none.</exception>
    public WeightEntry this[string name] => Find(name) ?? throw (Unreadable.TryGetValue(name, out var type)
        ? new UserException($"{Source}: `{name}` is a `{type}`, which is no tensor that this kit reads; save it as a dense tensor of float32.")
        : new UserException($"{Source} has no tensor `{name}`; check that it holds the weights of a CLIP vision transformer."));

    /// <summary>What stands under a tensor's name and cannot be read as one, by that name, with its type.</summary>
    internal IReadOnlyDictionary<string, string> Unreadable { get; init; } = ReadOnlyDictionary<string, string>.Empty;

    /// <summary>The tensor of that name, or null.</summary>
    public WeightEntry? Find(string name) => _tensors.GetValueOrDefault(name);

    /// <summary>Whether there is a tensor of that name.</summary>
    public bool Contains(string name) => _tensors.ContainsKey(name);

    /// <summary>Copies every tensor to the CPU, in its own type or another, for the model to use.</summary>
    public WeightTable ToWeightTable(torch.ScalarType? type = null) => new(
        Source, Tensors.Select(entry => KeyValuePair.Create(entry.Name, entry.ToTensor(IsFloating(entry) ? type : null))));

    /// <summary>The same tensors, each replaced or (null) dropped.</summary>
    /// <param name="change">The replacement of a tensor.</param>
    /// <param name="rename">The new name of what cannot be read; null where <paramref name="change"/> gives no new names.</param>
    internal StateDict Select(Func<WeightEntry, WeightEntry?> change, Func<string, string>? rename = null) =>
        new(Source, Tensors.Select(change).OfType<WeightEntry>())
        {
            Unreadable = rename is null
                ? Unreadable
                : Unreadable.Select(pair => KeyValuePair.Create(rename(pair.Key), pair.Value)).DistinctBy(pair => pair.Key).ToDictionary(),
        };

    /// <summary>The same tensors under other names.</summary>
    internal StateDict Rename(Func<string, string> rename) => Select(entry => entry.Rename(rename(entry.Name)), rename);

    private static bool IsFloating(WeightEntry entry) =>
        entry.Type is torch.ScalarType.Float16 or torch.ScalarType.BFloat16 or torch.ScalarType.Float32 or torch.ScalarType.Float64;
}

/// <summary>How a weight file differs from what a configuration asks for.</summary>
/// <param name="Missing">Names that the model needs and the file lacks.</param>
/// <param name="Unexpected">Names that the file has and the model does not.</param>
/// <param name="WrongShapes">Tensors of another shape, each with the shape that the model needs.</param>
public sealed record StateDictDifferences(
    IReadOnlyList<string> Missing, IReadOnlyList<string> Unexpected, IReadOnlyList<string> WrongShapes)
{
    private const int NamesShown = 3;

    /// <summary>True when the file holds exactly what the model needs.</summary>
    public bool IsEmpty => Missing.Count + Unexpected.Count + WrongShapes.Count == 0;

    /// <summary>One clause for a message: "2 tensors are missing (a, b)".</summary>
    public override string ToString() => string.Join(
        ", ",
        new[]
        {
            Clause(Missing, "missing"),
            Clause(WrongShapes, "of another shape"),
            Clause(Unexpected, "not part of the model"),
        }.Where(clause => clause.Length > 0));

    private static string Clause(IReadOnlyList<string> names, string what)
    {
        var shown = string.Join(", ", names.Take(NamesShown)) + (names.Count > NamesShown ? ", ..." : string.Empty);
        return names.Count switch
        {
            0 => string.Empty,
            1 => $"1 tensor is {what} ({shown})",
            _ => $"{names.Count} tensors are {what} ({shown})",
        };
    }
}

/// <summary>
/// Brings the tensors of any CLIP weight file under OpenCLIP's names and then into the shape that a configuration asks for.
/// </summary>
public static class StateDictLoader
{
    private const string TextPrefix = "text.";

    // Integer buffers of OpenAI's archives, which describe the architecture a second time.
    private static readonly string[] Extras = ["input_resolution", "context_length", "vocab_size"];

    /// <summary>
    /// The model's tensors under OpenCLIP names: finds them in a training checkpoint (<see cref="ClipWeights"/>), drops what is no
    /// weight, strips the prefix of the custom text layout, and converts HuggingFace names. Nothing is copied.
    /// </summary>
    /// <param name="file">The file.</param>
    /// <param name="key">Where the model's tensors are in it, such as "model_ema"; null finds them.</param>
    /// <exception cref="UserException">The file holds no model, or several of which <paramref name="key"/> names none.</exception>
    public static StateDict Load(WeightFile file, string? key = null)
    {
        ArgumentNullException.ThrowIfNull(file);
        if (file.Tensors.Count == 0)
        {
            throw new UserException($"{file.Path} holds no tensors; save the model's state_dict() or a safetensors file.");
        }

        var state = ClipWeights.Of(file, key).Select(entry => IsExtra(entry.Name) ? null : entry);
        if (HuggingFaceNames.Recognises(state))
        {
            state = HuggingFaceNames.ToOpenClip(state);
        }

        return state.Rename(name => WithoutPrefix(name, TextPrefix));
    }

    /// <summary>
    /// Fits the tensors to a configuration: position tables are resized to its image and context size, the logit scale
    /// and bias get its shape (an absent bias is 0), a shared memory table gets all of its names, counts of batches that a file without them
    /// lacks are 0, and the text tower's names get its prefix.
    /// </summary>
    /// <exception cref="UserException">A position table cannot be resized.</exception>
    public static StateDict Fit(StateDict state, ClipConfig config)
    {
        ArgumentNullException.ThrowIfNull(state);
        ArgumentNullException.ThrowIfNull(config);
        var fitted = state.Select(entry => FitEntry(entry, config));
        bool IsAbsent(string name) => !fitted.Contains(name) && !fitted.Unreadable.ContainsKey(name);
        List<WeightEntry> zeros = [];
        if (config.InitLogitBias is not null && IsAbsent("logit_bias"))
        {
            zeros.Add(WeightEntry.FromValues<float>("logit_bias", [0f], config.NonscalarLogitScale ? [1] : []));
        }

        if (config.Vision.Stages is not null)
        {
            zeros.AddRange(ModifiedResNet.Parameters(config.Vision, config.EmbedDim)
                .Where(parameter => parameter.Name.EndsWith(BatchNorm.Count, StringComparison.Ordinal) && IsAbsent(parameter.Name))
                .Select(parameter => WeightEntry.FromValues<long>(parameter.Name, [0])));
        }

        fitted = zeros.Count == 0 ? fitted : new StateDict(state.Source, [.. fitted.Tensors, .. zeros]) { Unreadable = fitted.Unreadable };

        fitted = MemoryCheckpoint.WithAliases(fitted, config.Vision);
        return config.CustomText ? fitted.Rename(name => ClipParameters.IsOfTextTower(name) ? TextPrefix + name : name) : fitted;
    }

    /// <summary>The tensors with the text tower and the logit scale of another model, each where they have none of their own.</summary>
    /// <param name="state">Tensors under OpenCLIP's names.</param>
    /// <param name="other">Those of the other model.</param>
    /// <param name="assumptions">Receives what was taken, one sentence.</param>
    internal static StateDict WithTextOf(StateDict state, StateDict other, ICollection<string> assumptions)
    {
        var lacksText = !state.Tensors.Any(entry => ClipParameters.IsOfTextTower(entry.Name));
        var lacksScale = !state.Contains("logit_scale");
        WeightEntry[] taken =
        [
            .. other.Tensors.Where(entry =>
                (lacksText && ClipParameters.IsOfTextTower(entry.Name)) || (lacksScale && entry.Name is "logit_scale" or "logit_bias" && !state.Contains(entry.Name))),
        ];
        if (taken.Length == 0)
        {
            return state;
        }

        var parts = string.Join(" and no ", new[] { lacksText ? "text tower" : null, lacksScale ? "logit scale" : null }.OfType<string>());
        assumptions.Add($"{state.Source} has no {parts}: what {other.Source} has of them is taken.");
        return new(state.Source, [.. state.Tensors, .. taken]) { Unreadable = state.Unreadable };
    }

    private static WeightEntry FitEntry(WeightEntry entry, ClipConfig config) => entry.Name switch
    {
        "logit_scale" or "logit_bias" when entry.ElementCount == 1 => entry.Reshape(config.NonscalarLogitScale ? [1] : []),
        "visual.positional_embedding" or "visual.attnpool.positional_embedding" => PositionEmbeddings.Fit(entry, config.Vision),
        "positional_embedding" when config.Text is { } text => PositionEmbeddings.Fit(entry, text),
        _ => entry,
    };

    private static bool IsExtra(string name) =>
        Extras.Contains(name)
        || name.EndsWith("attn_mask", StringComparison.Ordinal)
        || name.EndsWith("embeddings.position_ids", StringComparison.Ordinal);

    private static string WithoutPrefix(string name, string prefix) =>
        name.StartsWith(prefix, StringComparison.Ordinal) ? name[prefix.Length..] : name;
}
