using System.Text.Json;
using System.Text.Json.Nodes;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders.Text;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>
/// The files of a model: weights, configuration, image preprocessing and vocabulary, found from one path as OpenCLIP and
/// HuggingFace lay them out.
/// </summary>
public sealed class ModelFolder
{
    /// <summary>The field of OpenCLIP's configuration files that says how images are prepared.</summary>
    internal const string PreprocessField = "preprocess_cfg";

    private const string Demo = "models/shapes-clip";
    private const string LocalPrefix = "local-dir:";
    private const string OpenClipConfigName = "open_clip_config.json";
    private const string HuggingFaceConfigName = "config.json";
    private const string HuggingFacePreprocessName = "preprocessor_config.json";

    // In the order in which OpenCLIP prefers them; an index of shards comes after the whole file.
    private static readonly string[] WeightNames =
    [
        "open_clip_model.safetensors",
        "open_clip_pytorch_model.safetensors",
        "open_clip_pytorch_model.bin",
        "open_clip_pytorch_model.pth",
        "model.safetensors",
        "model.safetensors.index.json",
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
        "pytorch_model.pth",
        "model.pth",
    ];

    // The files of a tokenizer, besides a merge list of any name.
    private static readonly string[] TokenizerNames =
        [WordTokenizer.FileName, "vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"];

    private const long LargestCompanion = 64 << 20;

    private static readonly string[] WeightExtensions = [".safetensors", ".pt", ".pth", ".bin", ".ckpt"];

    private ModelFolder(string folder, string weights)
    {
        Folder = folder;
        Weights = weights;
        Config = ConfigCandidates().FirstOrDefault(IsConfig);
        VocabularyFile = VocabularyReader.Find(folder);
    }

    /// <summary>The model's name, for files and tables: its file's, or its folder's where all models' files are called so.</summary>
    public string Name
    {
        get
        {
            var file = Path.GetFileName(Weights);
            var folder = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(Folder)));
            return folder.Length > 0 && (WeightNames.Contains(file) || WeightShards.Stem(file) is not null) ? folder : Path.GetFileNameWithoutExtension(file);
        }
    }

    /// <summary>The folder with the model's files.</summary>
    public string Folder { get; }

    /// <summary>The weight file.</summary>
    public string Weights { get; }

    /// <summary>The configuration file, or null.</summary>
    public string? Config { get; }

    /// <summary>The vocabulary file, or null.</summary>
    public string? VocabularyFile { get; }

    /// <summary>The folder of the demo model, which comes with the kit.</summary>
    /// <exception cref="UserException">It is not there.</exception>
    public static string FindDemo() => KitFile.Find(Demo)
        ?? throw new UserException($"The demo model ({Demo}) is not here; work in the kit's own folder, or name it in {KitFile.RootVariable}.");

    /// <summary>Finds a model's files.</summary>
    /// <param name="path">A weight file, whose folder is searched for the rest, or a folder; "local-dir:" may precede it.</param>
    /// <exception cref="UserException">There is no such path, or the folder holds no weight file or several.</exception>
    public static ModelFolder Open(string path)
    {
        ArgumentException.ThrowIfNullOrEmpty(path);
        var plain = path.StartsWith(LocalPrefix, StringComparison.Ordinal) ? path[LocalPrefix.Length..] : path;
        if (File.Exists(plain))
        {
            return new ModelFolder(Path.GetDirectoryName(Path.GetFullPath(plain))!, plain);
        }

        return Directory.Exists(plain)
            ? new ModelFolder(plain, FindWeights(plain))
            : throw new UserException($"The model {path} is neither a weight file nor a folder with one; check the path.");
    }

    /// <summary>
    /// Writes a model as OpenCLIP lays one out, weights in their own number type, under all names that a shared tensor has.
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="folder">The folder; it is created.</param>
    /// <param name="origin">The folder of the model that it was made from, whose tokenizer and way to prepare images it takes; null for none.</param>
    /// <param name="tokenizer">Folder or file of the tokenizer where it is not the origin's; null for none.</param>
    /// <exception cref="UserException">A file cannot be written.</exception>
    public static void Save(ClipModel model, string folder, ModelFolder? origin = null, string? tokenizer = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        SafetensorsWriter.Write(
            Path.Combine(folder, WeightNames[0]),
            model.Weights.Names.Select(name => WeightEntry.FromTensor(name, model.Weights[name])),
            new Dictionary<string, string> { ["format"] = "pt" });
        var config = JsonNode.Parse(ClipConfigJson.ToJson(model.Config))!;
        if (origin?.Config is { } path && JsonNode.Parse(JsonFields.ReadFile(path).GetRawText())?[PreprocessField] is { } preprocess)
        {
            config = new JsonObject { ["model_cfg"] = config, [PreprocessField] = preprocess.DeepClone() };
        }

        AtomicFile.WriteText(Path.Combine(folder, OpenClipConfigName), config.ToJsonString(ReportJson.Options) + "\n");
        string[] preprocessing = origin is null ? [] : [Path.Combine(origin.Folder, HuggingFacePreprocessName)];
        foreach (var file in TokenizerFiles(tokenizer ?? origin?.Folder).Concat(preprocessing).Distinct().Where(File.Exists))
        {
            var content = SmallFile.Read(file, LargestCompanion, "a file beside a model");
            AtomicFile.Write(Path.Combine(folder, Path.GetFileName(file)), stream => stream.Write(content));
        }
    }

    /// <summary>How the model's images are prepared; OpenAI's way where no file says otherwise.</summary>
    /// <param name="vision">The vision tower they are for.</param>
    /// <exception cref="UserException">A file that says so is damaged or asks for what is not supported.</exception>
    public PreprocessOptions LoadPreprocess(VisionConfig vision) =>
        LoadPreprocess(vision, Config is { } path ? (JsonFields.ReadFile(path), path) : null, isResized: false);

    /// <summary>The same by a configuration that was read already.</summary>
    /// <param name="vision">The vision tower they are for.</param>
    /// <param name="config">The configuration, with its path; null for none.</param>
    /// <param name="isResized">Whether the tower was given another image size than the folder's files are for.</param>
    internal PreprocessOptions LoadPreprocess(VisionConfig vision, (JsonElement Json, string Path)? config, bool isResized)
    {
        if (config is { } read && new JsonFields(read.Json, read.Path).Object(PreprocessField) is { } fields)
        {
            return PreprocessJson.FromOpenClip(fields, vision, isResized && read.Path == Config);
        }

        var huggingFace = Path.Combine(Folder, HuggingFacePreprocessName);
        return File.Exists(huggingFace)
            ? PreprocessJson.FromHuggingFace(new JsonFields(JsonFields.ReadFile(huggingFace), huggingFace), vision, isResized)
            : PreprocessJson.Default(vision);
    }

    /// <summary>The model's tokenizer.</summary>
    /// <param name="text">The text tower it is for.</param>
    /// <exception cref="UserException">The folder has no vocabulary, or one of another size than the model's.</exception>
    public ClipTokenizer LoadTokenizer(TextConfig text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var vocabulary = Vocabulary.Load(VocabularyFile ?? throw VocabularyReader.Missing(Folder));
        return vocabulary.Count == text.VocabSize
            ? new ClipTokenizer(vocabulary, new TokenizerOptions { ContextLength = text.ContextLength, PadId = text.PadId, Cleaning = text.Cleaning })
            : throw new UserException(
                $"{vocabulary.Source} has {vocabulary.Count} tokens, but the model in {Folder} was trained with {text.VocabSize}; put the model's own vocabulary there.");
    }

    private static IEnumerable<string> TokenizerFiles(string? place) =>
        place is null ? []
        : Directory.Exists(place) ? [.. TokenizerNames.Select(name => Path.Combine(place, name)), VocabularyReader.Find(place) ?? ""]
        : Path.GetFileName(place) == "vocab.json" ? [place, Path.Combine(Path.GetDirectoryName(place)!, "merges.txt")]
        : [place];

    private static string FindWeights(string folder)
    {
        if (WeightNames.Select(name => Path.Combine(folder, name)).FirstOrDefault(File.Exists) is { } preferred)
        {
            return preferred;
        }

        var indices = Directory.EnumerateFiles(folder, "*" + WeightShards.IndexExtension).ToList();
        if (indices is [var index])
        {
            return index;
        }

        var others = Directory.EnumerateFiles(folder)
            .DistinctBy(file => WeightShards.Stem(file) ?? file)
            .Where(file => WeightExtensions.Contains(Path.GetExtension(file).ToLowerInvariant()))
            .Order(StringComparer.Ordinal)
            .ToList();
        return others switch
        {
            [var only] => only,
            [] => throw new UserException($"{folder} has no weight file; put the model's weights there, for example as {WeightNames[0]}."),
            _ => throw new UserException(
                $"{folder} has several weight files ({string.Join(", ", others.Take(3).Select(Path.GetFileName))}{(others.Count > 3 ? ", ..." : "")}); name the file instead of the folder."),
        };
    }

    private IEnumerable<string> ConfigCandidates()
    {
        var stem = WeightShards.Stem(Weights) is { } whole ? Path.GetFileName(whole) : Path.GetFileNameWithoutExtension(Weights);
        string[] names = [OpenClipConfigName, $"{stem}.json", $"{stem}_config.json", HuggingFaceConfigName];
        return names.Select(name => Path.Combine(Folder, name)).Where(File.Exists);
    }

    // A file of such a name may be something else, for example the settings of a training run.
    private static bool IsConfig(string path) =>
        Path.GetFileName(path) == OpenClipConfigName || ClipConfigJson.Recognises(JsonFields.ReadFile(path));
}
