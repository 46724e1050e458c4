namespace RegCache.Lab.Data.Shapes;

/// <summary>How the generated set is written to files.</summary>
public enum ShapesFormat
{
    /// <summary>One folder a class with PNG files; images of two objects have no class and are left out.</summary>
    Folders,

    /// <summary>PNG files, COCO's captions JSON, and the split JSON of Karpathy.</summary>
    Coco,

    /// <summary>Tar shards of PNG, caption and class.</summary>
    WebDataset,
}
