namespace RegCache.Lab.Data;

/// <summary>
/// Where the data lies: options first, then environment variables, then the folders below DATA_ROOT.
/// Null: not given and without a default. Whether a folder exists is checked when it is asked for.
/// </summary>
/// <param name="DataRoot">DATA_ROOT.</param>
/// <param name="ImageNetValidation">IMAGENET_VAL, by default <c>DATA_ROOT/val</c>.</param>
/// <param name="TrainSample">TRAIN_SAMPLE, by default <c>DATA_ROOT/train_sample_50_per_class</c>.</param>
/// <param name="Calibration">CALIB, by default <c>DATA_ROOT/1024calib_train</c>.</param>
public sealed record DataLocations(string? DataRoot, string? ImageNetValidation, string? TrainSample, string? Calibration)
{
    /// <summary>Resolves all locations.</summary>
    /// <param name="option">The value of a variable's command-line option, or null where it was not given.</param>
    /// <param name="environment">The value of an environment variable, or null; empty counts as not set.</param>
    public static DataLocations Resolve(Func<DataVariable, string?> option, Func<string, string?> environment)
    {
        var root = Given(DataVariable.DataRoot);
        return new DataLocations(
            root,
            Locate(DataVariable.ImageNetValidation),
            Locate(DataVariable.TrainSample),
            Locate(DataVariable.Calibration));

        string? Given(DataVariable variable) =>
            option(variable) is { Length: > 0 } chosen ? chosen
            : environment(variable.Name) is { Length: > 0 } set ? set
            : null;

        string? Locate(DataVariable variable) =>
            Given(variable) ?? (root is null || variable.DefaultFolder is null ? null : Path.Combine(root, variable.DefaultFolder));
    }

    /// <summary>The folder of a variable, which exists, or the name of a set in another format (<see cref="ImageSetFormats"/>).</summary>
    /// <exception cref="UserException">It is not given, or there is no such folder; the sentence names the variable.</exception>
    public string Require(DataVariable variable)
    {
        var folder = Of(variable)
            ?? throw new UserException($"{variable.Name} ({variable.Content}) is not set: {Remedy(variable)}.");
        return Directory.Exists(folder) || ImageSetFormats.Recognises(folder)
            ? folder
            : throw new UserException($"{variable.Name} ({variable.Content}) names {folder}, which does not exist: {Remedy(variable)}.");
    }

    private string? Of(DataVariable variable) =>
        variable == DataVariable.DataRoot ? DataRoot
        : variable == DataVariable.ImageNetValidation ? ImageNetValidation
        : variable == DataVariable.TrainSample ? TrainSample
        : variable == DataVariable.Calibration ? Calibration
        : throw new ArgumentException($"No location belongs to {variable.Name}.", nameof(variable));

    private static string Remedy(DataVariable variable) => variable.DefaultFolder is { } folder
        ? $"set {variable.Name}, give {variable.Option} {(variable.IsImageSet ? "SET" : "FOLDER")}, or set DATA_ROOT to a folder that holds {folder}"
        : $"set {variable.Name} or give {variable.Option} FOLDER";
}

/// <summary>A place of data that an environment variable names and a command-line option overrides.</summary>
/// <param name="Name">The environment variable, for example <c>TRAIN_SAMPLE</c>.</param>
/// <param name="Option">The option that overrides it, for example <c>--train-sample</c>.</param>
/// <param name="DefaultFolder">The folder below DATA_ROOT that is used when neither is given; null: there is no default.</param>
/// <param name="Content">What the folder holds, for help texts.</param>
public sealed record DataVariable(string Name, string Option, string? DefaultFolder, string Content)
{
    /// <summary>Whether it names a set of images, in any format of <see cref="ImageSetFormats"/>, and not a folder that holds sets.</summary>
    public bool IsImageSet { get; init; }

    /// <summary>The root of the ImageNet folders.</summary>
    public static DataVariable DataRoot { get; } = new("DATA_ROOT", "--data-root", null, "root of the ImageNet folders");

    /// <summary>The validation images, with labels.</summary>
    public static DataVariable ImageNetValidation { get; } =
        new("IMAGENET_VAL", "--imagenet-val", "val", "validation images, with labels") { IsImageSet = true };

    /// <summary>The training images of extraction and search, with labels.</summary>
    public static DataVariable TrainSample { get; } =
        new("TRAIN_SAMPLE", "--train-sample", "train_sample_50_per_class", "training images of extraction and search, with labels") { IsImageSet = true };

    /// <summary>The calibration images of ptq4vit and repqvit.</summary>
    public static DataVariable Calibration { get; } =
        new("CALIB", "--calib", "1024calib_train", "calibration images (ptq4vit and repqvit only)") { IsImageSet = true };

    /// <summary>All of them; the sets for retrieval have their own (<see cref="Retrieval.RetrievalFormats"/>).</summary>
    public static IReadOnlyList<DataVariable> All { get; } = [DataRoot, ImageNetValidation, TrainSample, Calibration];
}
