namespace RegCache.Lab.Kernel.Notebooks;

/// <summary>What <c>notebook run</c> is asked for.</summary>
public sealed record NotebookRunOptions
{
    /// <summary>The notebooks.</summary>
    public required IReadOnlyList<string> Files { get; init; }

    /// <summary>The folder that the notebooks with their outputs go to; null to write them where they are.</summary>
    public string? OutputFolder { get; init; }

    /// <summary>Whether each notebook is also written as one HTML page.</summary>
    public bool Html { get; init; }

    /// <summary>Whether plots are kept as PNG pictures, for pages that run no scripts; the HTML page has them drawn all the same.</summary>
    public bool Pictures { get; init; }

    /// <summary>How long one cell may run; null for no limit.</summary>
    public TimeSpan? CellTimeout { get; init; }

    /// <summary>Parameters of the notebooks, name to value; see <see cref="NotebookParameters"/>.</summary>
    public IReadOnlyDictionary<string, string> Parameters { get; init; } = new Dictionary<string, string>();
}
