using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Reports;
using Spectre.Console;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Architecture, parameters and tensors of a model, and its activation norms on given images.</summary>
internal sealed class ModelInfoCommand : KitCommand
{
    private readonly Argument<string> _model = new("MODEL") { Description = "Model folder or weight file." };

    private readonly Option<string?> _config = new("--model-config") { Description = "Configuration file or name.", HelpName = "FILE|NAME" };

    private readonly Option<string?> _pretrained = new("--pretrained") { Description = "Tag of the weights, for the choice of activation: openai, ...", HelpName = "TAG" };

    private readonly Option<int?> _heads = OptionOf.OptionalNumber("--heads", "Attention heads of the vision tower, where no configuration tells them.", 1, 4096);

    private readonly Option<string?> _key = new("--weights-key") { Description = "Which model of a checkpoint that holds several: model_ema, ...", HelpName = "KEY" };

    private readonly Option<bool> _tensors = new("--tensors") { Description = "List every tensor." };

    private readonly Option<string?> _images = new("--images")
    {
        Description = $"Images ({ImageSetFormats.AddressHelp}): adds a table of token norms by block, which shows outlier tokens.",
        HelpName = "SET",
    };

    private readonly Option<int> _count = OptionOf.Number("--count", "Images that are used for the norms.", 64, 1, 1_000_000);

    private readonly Option<bool> _skipBadImages = new("--skip-bad-images") { Description = "Leave unreadable images out, naming them, instead of stopping." };

    private readonly DecodingOption _decoding = new();

    /// <inheritdoc/>
    public override string Path => "model info";

    /// <inheritdoc/>
    public override string Description => "Tells a model's architecture, parameters, tensors, and token norms on given images.";

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        command.Add(_model);
        foreach (var option in new Option[] { _config, _pretrained, _heads, _key, _tensors, _images, _count, _skipBadImages }.Concat(_decoding.All))
        {
            command.Add(option);
        }
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var arguments = context.Arguments;
        using var clip = LoadedClip.Load(arguments.GetRequiredValue(_model), new()
        {
            Config = arguments.GetValue(_config),
            Pretrained = arguments.GetValue(_pretrained) ?? "local",
            Heads = arguments.GetValue(_heads),
            WeightsKey = arguments.GetValue(_key),
        });
        PrintArchitecture(context.Output, clip);
        if (arguments.GetValue(_tensors))
        {
            foreach (var name in clip.Model.Weights.Names)
            {
                var tensor = clip.Model.Weights[name];
                context.Output.WriteLine($"  {name,-60} {tensor.dtype,-10} [{string.Join(", ", tensor.shape)}]");
            }
        }

        if (arguments.GetValue(_images) is { } folder)
        {
            PrintNorms(context, clip, folder, arguments.GetValue(_count), arguments.GetValue(_skipBadImages), _decoding.Read(arguments));
        }

        return ExitCode.Success;
    }

    private static void PrintArchitecture(TextWriter output, LoadedClip clip)
    {
        var (config, weights) = (clip.Model.Config, clip.Model.Weights);
        long Elements(Func<string, bool> counts) => weights.Names.Where(name => counts(name) && !ClipParameters.IsStatistic(name)).Sum(name => weights[name].NumberOfElements);
        static bool IsVisual(string name) => name.StartsWith("visual.", StringComparison.Ordinal);
        var (vision, text) = (config.Vision, config.Text);
        output.WriteLine($"model      : {clip.Name}");
        output.WriteLine($"sha-256    : {clip.Hash}");
        output.WriteLine(vision.Stages is { } stages
            ? $"vision     : ResNet of {stages} blocks, width {vision.Width}, attention pooling of {vision.Heads} heads, image {vision.ImageSize.Height}x{vision.ImageSize.Width}, last map {vision.Grid.Height}x{vision.Grid.Width}"
            : $"vision     : {vision.Layers} blocks, width {vision.Width}, {vision.Heads} heads, patch {vision.PatchSize}, image {vision.ImageSize.Height}x{vision.ImageSize.Width}, {vision.ClassTokens + vision.Patches} tokens");
        output.WriteLine(text is null
            ? "text       : none"
            : $"text       : {text.Layers} blocks, width {text.Width}, {text.Heads} heads, context {text.ContextLength}, vocabulary {text.VocabSize}");
        string[] pooled = [.. new[] { vision.Pooling?.Describe(), text?.Pooling?.Describe() }.OfType<string>()];
        if (pooled.Length > 0)
        {
            output.WriteLine($"pooling    : {string.Join("; ", pooled)}");
        }

        output.WriteLine($"embedding  : {config.EmbedDim} channels, {(config.QuickGelu ? "quick GELU" : "GELU")}");
        output.WriteLine($"parameters : {Elements(static _ => true):N0} ({Elements(IsVisual):N0} vision, {Elements(static name => !IsVisual(name)):N0} others)");
        output.WriteLine($"tensors    : {weights.Names.Count}");
        if (clip.Differences.Length > 0)
        {
            output.WriteLine($"besides    : {clip.Differences}");
        }

        foreach (var assumption in clip.Assumptions)
        {
            output.WriteLine($"note       : {assumption}");
        }
    }

    private static void PrintNorms(CommandContext context, LoadedClip clip, string images, int count, bool skipBadImages, DecodingOptions decoding)
    {
        using var set = ImageSetFormats.Open(images, new(Cancellation: context.Cancellation) { Decoding = decoding });
        set.Inventory.Tell(context.Progress);
        var source = new ImageSetSource(
            set, new(clip.Preprocess), options: new() { SkipBadImages = skipBadImages }, cancellation: context.Cancellation);
        var norms = TokenNorms.Measure(clip.Model.Vision, source, count, new("norms", 16) { Progress = context.Progress, Cancellation = context.Cancellation });
        source.TellUnreadable(context.Progress);
        var table = new Table().AddColumns("stream after", "median norm", "largest norm", "ratio", "outliers an image", "cosine of outliers", "largest MLP hidden value");
        foreach (var row in norms)
        {
            table.AddRow(
                row.Place, $"{row.MedianNorm:0.00}", $"{row.MaxNorm:0.00}", $"{row.Ratio:0.0}", $"{row.Outliers:0.00} ({row.FewestOutliers} .. {row.MostOutliers})",
                $"{row.OutlierCosine:0.000}", $"{row.MaxMlpHidden:0.00}");
        }

        context.Console.Write(table);
        context.Output.WriteLine("Patch tokens only; an outlier has a norm above 5 times its image's median. Numbers are means over images.");
    }
}
