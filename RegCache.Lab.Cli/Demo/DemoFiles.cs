using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Reports;
using RegCache.Lab.Training.ShapesClip;

namespace RegCache.Lab.Cli.Demo;

/// <summary>What the demo works on: the shipped model, and generated images as PNG class folders like anybody's data.</summary>
/// <param name="Model">The model's folder.</param>
/// <param name="Search">Images that everything is chosen on.</param>
/// <param name="Test">Images of the final numbers.</param>
internal sealed record DemoFiles(string Model, string Search, string Test)
{
    private const int SearchCount = 288;
    private const int TestCount = 960;

    /// <summary>Finds the model and makes the images that are not there yet.</summary>
    /// <param name="folder">Where the images go.</param>
    /// <param name="progress">Told of the images written.</param>
    /// <param name="cancellation">Stops the work.</param>
    /// <exception cref="UserException">The model is missing, or a file cannot be written.</exception>
    public static DemoFiles Prepare(string folder, IWorkProgress progress, CancellationToken cancellation) => new(
        ShapesClipModelFolder.Find(),
        Images(folder, ShapesSplit.Validation, SearchCount, progress, cancellation),
        Images(folder, ShapesSplit.Test, TestCount, progress, cancellation));

    // The images go to a folder of another name first, so that one with the right name is complete.
    private static string Images(string folder, ShapesSplit split, int count, IWorkProgress progress, CancellationToken cancellation)
    {
        var name = split.ToString().ToLowerInvariant();
        var target = Path.Combine(folder, $"{name}-{count}");
        if (Directory.Exists(target))
        {
            return target;
        }

        var partial = Path.Combine(folder, $"partial-{Environment.ProcessId}");
        try
        {
            ShapesExport.Write(ShapesSet.Generate(split, count, cancellation: cancellation), partial, ShapesFormat.Folders, progress, cancellation);
            Directory.Move(Path.Combine(partial, name), target);
        }
        finally
        {
            if (Directory.Exists(partial))
            {
                Directory.Delete(partial, recursive: true);
            }
        }

        return target;
    }
}
