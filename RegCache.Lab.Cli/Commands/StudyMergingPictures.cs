using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Merging;
using RegCache.Lab.Notebooks.Pictures;
using RegCache.Lab.Reports;
using Tensor = TorchSharp.torch.Tensor;
using TorchSharp;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Pictures of a merging study: one row an image, first the image, then its merged tokens under each method.</summary>
internal static class StudyMergingPictures
{
    // Smaller images are enlarged, so that the outlines leave something to see.
    private const int LeastWidth = 160;

    /// <summary>Writes <c>pictures.png</c>, and the sizes of the groups as <c>pictures.json</c>.</summary>
    /// <param name="experiment">Model and images.</param>
    /// <param name="variants">Of every method that merges, the one with the largest r is shown.</param>
    /// <param name="count">Images to show, spread over the set.</param>
    public static void Write(Experiment experiment, IReadOnlyList<MergingVariant> variants, int count)
    {
        var shown = variants.Where(variant => variant.Configuration is not null).GroupBy(variant => variant.Method).Select(group => group.MaxBy(variant => variant.Count)!).ToList();
        count = Math.Min(count, experiment.Validation.Count);
        if (count == 0 || shown.Count == 0)
        {
            return;
        }

        using var scope = torch.NewDisposeScope();
        var indices = Enumerable.Range(0, count).Select(index => (int)((long)index * experiment.Validation.Count / count)).ToArray();
        var images = experiment.Validation.Read(indices);
        var scale = Math.Max(1, (LeastWidth + experiment.Preprocess.Width - 1) / experiment.Preprocess.Width);
        var width = scale * experiment.Preprocess.Width;
        var originals = InputPixels.Of(images, experiment.Preprocess).Select(image => PictureGrid.Enlarge(image, experiment.Preprocess.Width, scale)).ToArray();
        var rows = originals.Select(original => new List<byte[]> { original }).ToArray();
        var sizes = new List<object>();
        var (device, type) = experiment.Tower.Placement;
        using var runner = new PlanRunner(experiment.Tower);
        var input = images.to(type, device);
        foreach (var variant in shown)
        {
            var plan = (variant.Configuration! with { TrackSources = true }).ApplyTo(EncoderPlan.Plain(experiment.Tower.Blocks.Count));
            plan = plan.With(0, block => block with { Before = [.. block.Before, new TrackSources()] });
            var stream = runner.Forward(input, plan);
            for (var image = 0; image < count; image++)
            {
                var groups = MergePicture.Groups(stream.Sources![image], experiment.Tower.Config.ClassTokens);
                rows[image].Add(MergePicture.Draw(
                    originals[image], width, groups, stream.Layout.GridColumns, MergePicture.EdgeColors((int)stream.Length)));
                sizes.Add(new
                {
                    Image = (experiment.Validation as FolderImageSource)?.Files[indices[image]] is { } file ? System.IO.Path.GetFileName(file) : $"{indices[image]}",
                    variant.Method,
                    R = variant.Count,
                    Groups = groups.Where(group => group >= 0).CountBy(group => group).Select(group => group.Value).OrderDescending().ToArray(),
                });
            }
        }

        PictureGrid.WritePng(experiment.Directory.PathOf("pictures.png"), rows, width);
        AtomicFile.WriteText(experiment.Directory.PathOf("pictures.json"), System.Text.Json.JsonSerializer.Serialize(sizes, JsonLayout));
        experiment.Progress.Message(
            $"pictures.png: columns are the image, {string.Join(", ", shown.Select(variant => $"{variant.Method} r {variant.Count}"))}.");
    }

    private static System.Text.Json.JsonSerializerOptions JsonLayout { get; } = new(System.Text.Json.JsonSerializerDefaults.Web) { WriteIndented = true };
}
