using System.CommandLine;
using CsvHelper;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders.Text;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Reports;
using Spectre.Console;
using TorchSharp;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Which of some texts fits an image best, by CLIP: one table of probabilities.</summary>
internal sealed class ClipClassifyCommand : KitCommand
{
    private readonly Argument<string[]> _images = new("IMAGE")
    {
        Description = "Images: files, - for standard input, folders or shards.",
        Arity = ArgumentArity.OneOrMore,
    };

    private readonly Option<string[]> _labels = new("--labels")
    {
        Description = "Texts to choose from, two or more: --labels \"a diagram\" \"a dog\" \"a cat\".",
        HelpName = "TEXT...",
        Required = true,
        Arity = ArgumentArity.OneOrMore,
        AllowMultipleArgumentsPerToken = true,
    };

    private readonly Option<string> _template = new("--template")
    {
        Description = "What a label becomes before it is encoded; {} stands for it, as in \"a photo of {}.\"",
        HelpName = "TEXT",
        DefaultValueFactory = _ => PromptSet.Placeholder,
    };

    private readonly Option<string?> _csv = new("--csv") { Description = "Write the probabilities to this file, one a line.", HelpName = "FILE" };

    private readonly ModelOptions _model = new("the demo model, which knows coloured shapes", classifies: false);
    private readonly RunOptions _run = new(keepsRuns: false);

    /// <inheritdoc/>
    public override string Path => "clip classify";

    /// <inheritdoc/>
    public override string Description => "Tells which of some texts fits an image best: the probabilities that CLIP gives them.";

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        command.Add(_images);
        command.Add(_labels);
        command.Add(_template);
        command.AddGroup(OptionGroups.Results, _csv);
        _model.AddTo(command);
        _run.AddTo(command);
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var arguments = context.Arguments;
        var (labels, template) = (arguments.GetRequiredValue(_labels), arguments.GetRequiredValue(_template));
        RequireSense(labels, template);
        var options = _run.Read(arguments, _model.Read(arguments, new() { WithoutImages = true }));
        using var images = NamedImages.Open(arguments.GetRequiredValue(_images), options.SkipBadImages, options.Decoding, context.Cancellation);
        images.Inventories.ToList().ForEach(inventory => inventory.Tell(context.Progress));
        using var experiment = Experiment.Open(options, context.Progress, context.Cancellation);
        using var scope = torch.NewDisposeScope();
        var reader = new ImageBatchReader(images, new(experiment.Preprocess), new() { SkipBadImages = options.SkipBadImages });
        var rows = Classify(experiment, reader, images, labels, template);
        Print(context, rows, labels);
        if (arguments.GetValue(_csv) is { } csv)
        {
            CsvTable.Write(csv, rows.SelectMany(row => row.Probabilities.Select((probability, label) => new ProbabilityRow(row.Image, labels[label], probability))));
        }

        return ExitCode.Success;
    }

    private static void RequireSense(string[] labels, string template)
    {
        if (labels.Length < 2)
        {
            throw new UserException($"--labels \"{labels[0]}\": one text alone always fits best; give two or more.");
        }

        if (labels.FirstOrDefault(string.IsNullOrWhiteSpace) is not null)
        {
            throw new UserException("--labels has an empty text; leave it out.");
        }

        if (labels.CountBy(label => label).FirstOrDefault(count => count.Value > 1) is { Key: { } twice })
        {
            throw new UserException($"--labels names \"{twice}\" twice; leave one out.");
        }

        if (!template.Contains(PromptSet.Placeholder, StringComparison.Ordinal))
        {
            throw new UserException($"--template \"{template}\" has no {PromptSet.Placeholder} where the label goes; add it.");
        }
    }

    // The model's own scale, and bias where it has one, as it was trained with them.
    private static List<(string Image, double[] Probabilities)> Classify(
        Experiment experiment, ImageBatchReader reader, NamedImages images, string[] labels, string template)
    {
        var text = experiment.Clip.Model.Text
            ?? throw new UserException($"{experiment.Options.Model} has no text encoder to compare images with; give a whole CLIP model.");
        using var noGradient = torch.no_grad();
        var tokenizer = experiment.Clip.RequireTokenizer();
        string[] prompts = [.. labels.SelectMany(label => PromptSet.Prompts(label, [template]))];
        var ids = torch.tensor(tokenizer.EncodeBatch(prompts), [prompts.Length, tokenizer.ContextLength]);
        var texts = ZeroShotClassifier.Normalize(text.Encode(ids.to(text.Placement)));
        var rows = new List<(string, double[])>();
        var (tower, run) = (experiment.ImageTower, experiment.Pass("images"));
        using var progress = run.Progress.Start(run.Title, reader.Items.Count, "images");
        foreach (var batch in reader.Read(run.BatchSize, cancellation: run.Cancellation))
        {
            using var scope = torch.NewDisposeScope();
            var pixels = torch.tensor(batch.Pixels, [batch.Count, 3, reader.Preprocessor.Options.Height, reader.Preprocessor.Options.Width]);
            var (device, type) = tower.Placement;
            var features = ZeroShotClassifier.Normalize(tower.Encode(pixels.to(type, device)));
            var probabilities = experiment.Model.Logits(features, texts).to(torch.ScalarType.Float64).softmax(-1).cpu();
            for (var row = 0; row < batch.Count; row++)
            {
                rows.Add((images.Name(batch.Indices[row]), probabilities[row].data<double>().ToArray()));
            }

            progress.Report(batch.Indices[^1] + 1);
        }

        foreach (var problem in reader.Unreadable)
        {
            experiment.Progress.Message($"Left out: {problem.Reason}");
        }

        return rows.Count > 0 ? rows : throw new UserException($"None of the {images.Count} images can be read; the first: {reader.Unreadable[0].Reason}");
    }

    private static void Print(CommandContext context, List<(string Image, double[] Probabilities)> rows, string[] labels)
    {
        var table = new Table().AddColumn("probability %");
        foreach (var (image, _) in rows)
        {
            table.AddColumn(new TableColumn(Markup.Escape(System.IO.Path.GetFileName(image))).RightAligned());
        }

        foreach (var (index, label) in labels.Index())
        {
            table.AddRow([Markup.Escape(label), .. rows.Select(row => $"{100 * row.Probabilities[index]:0.00}")]);
        }

        // Many images would be columns beyond any screen.
        const int mostColumns = 6;
        if (rows.Count <= mostColumns)
        {
            context.Console.Write(table);
        }

        foreach (var (image, probabilities) in rows)
        {
            var best = probabilities.Index().MaxBy(pair => pair.Item);
            context.Output.WriteLine($"{image}: {labels[best.Index]} ({100 * best.Item:0.00} %)");
        }
    }
}

/// <summary>A row of the table of <c>clip classify</c>.</summary>
/// <param name="Image">The image.</param>
/// <param name="Label">The text.</param>
/// <param name="Probability">How likely the text is, among those given; from 0 to 1.</param>
[CsvRecord]
internal sealed partial record ProbabilityRow(string Image, string Label, double Probability);
