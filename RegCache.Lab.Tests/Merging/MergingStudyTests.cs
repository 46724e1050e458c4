using System.CommandLine;
using System.Xml.Linq;
using RegCache.Lab.Cli.Commands;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Merging;
using RegCache.Lab.Notebooks.Pictures;
using RegCache.Lab.Reports;
using RegCache.Lab.Tests.Encoders;
using SixLabors.ImageSharp;
using SixLabors.ImageSharp.PixelFormats;

namespace RegCache.Lab.Tests.Merging;

/// <summary>The parts of the merging study: schedules as text, published numbers, throughput, plot, picture grid, outliers' fate.</summary>
public sealed class MergingStudyTests
{
    [Theory]
    [InlineData("8", "8, 8, 8")]
    [InlineData("8:-1", "16, 8, 0")]
    [InlineData("0/3", "0, 3, 0")]
    [InlineData("3/0", "3, 0, 0")]
    [InlineData("4:0.5", "2, 4, 6")]
    public void SchedulesAreReadAndWritten(string text, string counts)
    {
        var schedule = MergeSchedule.Parse(text);
        Assert.Equal(counts, schedule.Counts(3).ToString());
        Assert.Equal(schedule, MergeSchedule.Parse(schedule.ToString()));
    }

    [Theory]
    [InlineData("-1")]
    [InlineData("4:2")]
    [InlineData("1/-2")]
    [InlineData("1/x")]
    [InlineData("1,2")]
    [InlineData("8:-1:0")]
    [InlineData("8:0.5/3")]
    [InlineData("eight")]
    [InlineData("")]
    public void BadSchedulesAreRefused(string text) => Assert.Throws<UserException>(() => MergeSchedule.Parse(text));

    [Fact]
    public void OneBlockTakesTheLowerCount() => Assert.Equal([16], MergeSchedule.Inflected(8, -1).Counts(1));

    [Fact]
    public void PresetsAreThePublishedOnes()
    {
        var plain = EncoderPlan.Plain(24);
        Assert.Equal(MergingSetting.Lgtm(8, 4, 7).ApplyTo(plain), new MergingSetting(MergingMethods.All.Find("lgtm-l"), MergeSchedule.Constant(8)).ApplyTo(plain));
        Assert.Throws<UserException>(() => MergingMethods.All.Find("lgtm-x"));
        Assert.Equal(14, MergingMethods.ScaledGlobalStart(24));
        Assert.Equal(MergingSetting.Lgtm(8, 1, 14).ApplyTo(plain), new MergingSetting(MergingMethods.Lgtm, MergeSchedule.Constant(8)).ApplyTo(plain));
    }

    [Theory]
    [InlineData("--methods lgtm-s,tome --r 8,4:-1,0,8", "plain, r 0", "lgtm-s, r 4:-1", "lgtm-s, r 8", "tome, r 4:-1", "tome, r 8")]
    [InlineData("--methods dfe,tome --r 0/0/6 --dense 3", "plain, r 0", "dfe --dense 3, r 0/0/6", "tome, r 0/0/6")]
    [InlineData("--r 2 --no-proportional-attention", "plain, r 0", "tome, r 2, sizes not in attention", "dfe, r 2, sizes not in attention", "lgtm, r 2, sizes not in attention")]
    public void TheCommandLineNamesThePointsOfTheStudy(string arguments, params string[] points) =>
        Assert.Equal(points, Settings(arguments).Select(setting => setting.ToString()));

    [Fact]
    public void OptionsOfMethodsThatDoNotRunAreRefused() =>
        Assert.Contains("--dense belongs to dfe, not to tome", Assert.Throws<UserException>(() => Settings("--methods tome --dense 3")).Message);

    [Theory]
    [InlineData(3, 1, "in windows from block 3 and in whole images from block 1")]
    [InlineData(1, 13, "does not fit a model of 12 blocks")]
    public void PhasesThatDoNotFitAreRefused(int localStart, int globalStart, string message) =>
        Assert.Contains(message, Assert.Throws<UserException>(() => MergingSetting.Lgtm(4, localStart, globalStart).ApplyTo(EncoderPlan.Plain(12))).Message);

    [Fact]
    public void PublishedNumbersAreAllThere()
    {
        Assert.All(PublishedMerging.All, result => Assert.InRange(result.Accuracy, 50, 100));
        Assert.Contains(PublishedMerging.Of("vit-b"), result => result is { Method: "lgtm", R: "16", Gmacs: 10.12, Accuracy: 83.68 });
        Assert.Contains(PublishedMerging.Of("deit-s"), result => result is { Method: "tome", R: "13", ImagesPerSecond: 1550, Training: "with ToMe" });
        Assert.Throws<UserException>(() => PublishedMerging.Of("vit-x"));
    }

    [Fact]
    public void MeasuredCostsAgreeWithPublishedOnes()
    {
        // The published numbers are read off a plot, to about 0.02 GMACs.
        var config = new VisionConfig();
        foreach (var result in PublishedMerging.Of("vit-b").Where(result => result is { Method: "lgtm", Gmacs: not null }))
        {
            var plan = new MergingSetting(MergingMethods.All.Find("lgtm-b"), MergeSchedule.Parse(result.R!)).ApplyTo(EncoderPlan.Plain(config.Layers));
            Assert.InRange((MacsTable.Of(config, 1000, plan).Total / 1e9) - result.Gmacs!.Value, -0.03, 0.03);
        }
    }

    [Fact]
    public void ThroughputComparesWithTheFirstPlan()
    {
        using var model = RandomModels.Create(RandomModels.Tiny);
        var plain = EncoderPlan.Plain(model.Vision.Blocks.Count);
        var results = Throughput.Measure(
            model.Vision, [plain, MergingSetting.ToMe(2).ApplyTo(plain)], new() { Batch = 2, Runs = 4, Repeats = 3 });
        Assert.Equal(2, results.Count);
        Assert.Equal(1, results[0].Ratio);
        Assert.All(results, result => Assert.True(result.ImagesPerSecond > 0 && result.Ratio > 0));
    }

    [Fact]
    public void PlotHoldsEverySeriesAndPoint()
    {
        var plot = new ParetoPlot();
        plot.Add("GMACs <an image>", [
            new("tome", [new(3.4, 80.7, "r 8"), new(2.7, 79.3)]),
            new("tome, published", [new(3.42, 80.72)]) { IsPublished = true },
        ]);
        plot.Add("one point", [new("tome", [new(5, 80)])]);
        var svg = XDocument.Parse(plot.ToSvg());
        XNamespace space = "http://www.w3.org/2000/svg";
        Assert.Equal(4, svg.Descendants(space + "circle").Count());
        Assert.Equal(3, svg.Descendants(space + "polyline").Count());
        Assert.Contains(svg.Descendants(space + "text"), text => text.Value == "tome, published");
        Assert.Equal("r 8", Assert.Single(svg.Descendants(space + "title")).Value);
        Assert.DoesNotContain("NaN", plot.ToSvg());
    }

    [Fact]
    public void GridHoldsPicturesSideBySide()
    {
        var folder = Directory.CreateTempSubdirectory("grid").FullName;
        try
        {
            var path = Path.Combine(folder, "grid.png");
            PictureGrid.WritePng(path, [[new byte[2 * 3 * 3], [.. Enumerable.Repeat((byte)9, 2 * 3 * 3)]]], 3);
            using var image = Image.Load<Rgb24>(path);
            Assert.Equal((10, 2), (image.Width, image.Height));
            Assert.Equal(new Rgb24(0, 0, 0), image[2, 1]);
            Assert.Equal(new Rgb24(255, 255, 255), image[3, 1]);
            Assert.Equal(new Rgb24(9, 9, 9), image[7, 1]);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void OutliersFateIsFollowed()
    {
        using var model = RandomModels.Create(RandomModels.Tiny with
        {
            Vision = RandomModels.Tiny.Vision with { ImageSize = (64, 64) },
        });
        using var images = new RandomTensors(1).Normal(3, 3, 64, 64);
        using var runner = new PlanRunner(model.Vision);
        var plain = EncoderPlan.Plain(model.Vision.Blocks.Count);
        OutlierFate Of(EncoderPlan plan) => OutlierFate.Of(runner, images, plain, plan, 0, 4);
        Assert.Equal((0, 0, 0), (Of(plain).Deleted, Of(plain).Merged, Of(plain).Companions));

        var all = Of(MergingSetting.ToMe(32).ApplyTo(plain));
        Assert.True(all.Merged > 0.9 && all.Companions > 1);
        var pruned = Of(new MergingSetting(MergingMethods.RandomPruning, MergeSchedule.Constant(32)).ApplyTo(plain));
        Assert.True(pruned.Deleted > 0.5);
        Assert.Equal(0, pruned.Merged);
    }

    [Theory]
    [InlineData(1, 10, 10)]
    [InlineData(0.9, 11, 11)]
    [InlineData(0.5, 20, 20)]
    public void CropRatioEnlargesWhatIsCutOut(double ratio, int width, int height)
    {
        using var image = DecodedImage.FromPixels(40, 40, PixelLayout.Rgb, new byte[40 * 40 * 3]);
        var geometry = ResizeGeometry.For(new PreprocessOptions(10) { CropRatio = ratio }, image);
        Assert.Equal((width, height), (geometry.ResizedWidth, geometry.ResizedHeight));
        Assert.Equal((10, 10), (geometry.Visible.Width, geometry.Visible.Height));
        Assert.Throws<UserException>(() => new ImagePreprocessor(new PreprocessOptions(10) { CropRatio = 0 }));
    }

    private static IReadOnlyList<MergingSetting> Settings(string arguments)
    {
        var options = new StudyMergingOptions();
        var command = new Command("merging");
        options.AddTo(command);
        return options.Settings(command.Parse($"--model m {arguments}"), 12, seed: 0);
    }
}
