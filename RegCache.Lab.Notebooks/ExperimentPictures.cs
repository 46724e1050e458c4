using RegCache.Lab.Data.Images;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Notebooks.Pictures;
using SixLabors.ImageSharp;
using SixLabors.ImageSharp.PixelFormats;

namespace RegCache.Lab.Notebooks;

/// <summary>Looks at some of an experiment's search images.</summary>
public static class ExperimentPictures
{
    /// <summary>Indices of search images, from the first to the last, spread over the set.</summary>
    /// <param name="experiment">The experiment.</param>
    /// <param name="count">How many.</param>
    public static IReadOnlyList<int> Spread(this Experiment experiment, int count) =>
        [.. Enumerable.Range(0, count).Select(index => (int)((long)index * (experiment.Search.Count - 1) / Math.Max(1, count - 1)))];

    /// <summary>The search images of <see cref="Spread"/>.</summary>
    /// <param name="experiment">The experiment.</param>
    /// <param name="count">How many.</param>
    /// <returns>Normalised images [count,3,H,W].</returns>
    public static Tensor Some(this Experiment experiment, int count) => experiment.Search.Read(experiment.Spread(count));

    /// <summary>Search images, spread over the set, as one picture.</summary>
    /// <param name="experiment">The experiment.</param>
    /// <param name="count">How many.</param>
    /// <param name="columns">How many in a row.</param>
    /// <param name="scale">Pixels of the picture for one of an image.</param>
    public static Image<Rgb24> Gallery(this Experiment experiment, int count, int columns = 8, int scale = 1)
    {
        using var images = experiment.Some(count);
        var width = experiment.Preprocess.Width;
        var pictures = InputPixels.Of(images, experiment.Preprocess).Select(image => PictureGrid.Enlarge(image, width, scale));
        return PictureGrid.Compose([.. pictures.Chunk(columns)], width * scale);
    }
}
