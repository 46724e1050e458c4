namespace RegCache.Lab.Data;

/// <summary>A place of data that an environment variable names and a command-line option overrides (regcache.md 10.1).</summary>
/// <param name="Name">The environment variable, for example <c>TRAIN_SAMPLE</c>.</param>
/// <param name="Option">The option that overrides it, for example <c>--train-sample</c>.</param>
/// <param name="DefaultFolder">The folder below DATA_ROOT that is used when neither is given; null: there is no default.</param>
/// <param name="Content">What the folder holds, for help texts.</param>
public sealed record DataVariable(string Name, string Option, string? DefaultFolder, string Content)
{
    /// <summary>The root of the ImageNet folders.</summary>
    public static DataVariable DataRoot { get; } = new("DATA_ROOT", "--data-root", null, "root of the ImageNet folders");

    /// <summary>The validation images, one folder a class.</summary>
    public static DataVariable ImageNetValidation { get; } =
        new("IMAGENET_VAL", "--imagenet-val", "val", "validation images, one folder a class");

    /// <summary>The training images of extraction and search, one folder a class.</summary>
    public static DataVariable TrainSample { get; } =
        new("TRAIN_SAMPLE", "--train-sample", "train_sample_50_per_class", "training images of extraction and search, one folder a class");

    /// <summary>The calibration images of ptq4vit and repqvit.</summary>
    public static DataVariable Calibration { get; } =
        new("CALIB", "--calib", "1024calib_train", "calibration images (ptq4vit and repqvit only)");

    /// <summary>MS-COCO, for retrieval.</summary>
    public static DataVariable CocoRoot { get; } = new("COCO_DATA_ROOT", "--coco-root", null, "MS-COCO, for retrieval");

    /// <summary>All of them.</summary>
    public static IReadOnlyList<DataVariable> All { get; } = [DataRoot, ImageNetValidation, TrainSample, Calibration, CocoRoot];
}
