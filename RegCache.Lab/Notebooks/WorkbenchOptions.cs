namespace RegCache.Lab.Notebooks;

/// <summary>What a <see cref="Workbench"/> is opened on.</summary>
public sealed record WorkbenchOptions
{
    /// <summary>A model folder or a weight file; empty for the shipped demo model.</summary>
    public string Model { get; init; } = string.Empty;

    /// <summary>Folder of class folders to choose settings on; empty for the generated <c>shapes</c> set.</summary>
    public string SearchImages { get; init; } = string.Empty;

    /// <summary>Folder of class folders for final numbers; empty for the same as <see cref="SearchImages"/>.</summary>
    public string TestImages { get; init; } = string.Empty;

    /// <summary>Prompt file; empty for <c>prompts.json</c> beside the weights.</summary>
    public string Prompts { get; init; } = string.Empty;

    /// <summary>Most images to choose settings on; they are spread over the classes.</summary>
    public int SearchCount { get; init; } = 384;

    /// <summary>Most images for final numbers.</summary>
    public int TestCount { get; init; } = 960;

    /// <summary>Images in a batch; ranges that are taken from batches depend on it.</summary>
    public int BatchSize { get; init; } = 64;

    /// <summary>Where the model runs.</summary>
    public torch.Device Device { get; init; } = torch.CPU;
}
