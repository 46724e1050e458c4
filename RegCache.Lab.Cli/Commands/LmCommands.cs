using System.CommandLine;
using System.Globalization;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Distributed;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Pooling.Language;
using RegCache.Lab.Reports;
using Spectre.Console;
using TorchSharp;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Options of commands that run a trained language model.</summary>
internal sealed class LmModelOptions
{
    private const int MostThreads = 4096;
    private readonly Option<string> _model = new("--model") { Description = "Folder of the model, as train lm writes it.", HelpName = "FOLDER", Required = true };
    private readonly Option<string?> _weights = new("--weights") { Description = "Weights of the same architecture in another file. [default: the folder's]", HelpName = "FILE" };
    private readonly Option<int?> _threads = OptionOf.Threads();
    private readonly Option<ComputeDevice> _device = OptionOf.Device();

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        foreach (var option in new Option[] { _model, _weights, _threads, _device })
        {
            command.Add(option);
        }
    }

    /// <summary>Loads the model.</summary>
    public LmModelFolder Load(ParseResult arguments)
    {
        torch.set_num_threads(Math.Min(arguments.GetValue(_threads) ?? Processes.Cores, MostThreads));
        return LmModelFolder.Load(arguments.GetValue(_model)!, arguments.GetValue(_device).Find(), arguments.GetValue(_weights));
    }
}

/// <summary>Bits a character of a language model, as upstream measures and at the trained length.</summary>
internal sealed class EvalLmCommand : KitCommand
{
    private const int Most = 1 << 24;
    private readonly LmModelOptions _model = new();
    private readonly Option<string> _data = new("--data") { Description = "Folder with train.txt, valid.txt and test.txt, or one file that is split 90 : 5 : 5.", HelpName = "PATH", Required = true };
    private readonly Option<string> _part = OptionOf.Choice("--part", "The part of the text.", "test", ("test", "test"), ("validation", "validation"));
    private readonly Option<int> _length = OptionOf.Number("--eval-tgt-len", "Characters that a chunk scores, as upstream measures.", 512, 1, Most);
    private readonly Option<int> _total = OptionOf.Number("--eval-total-len", "Characters that it reads at most, context included.", 2048, 1, Most);
    private readonly Option<int> _batch = OptionOf.Number("--batch-size", "Streams.", 16, 1, 65536);
    private readonly Option<int> _most = OptionOf.Number("--eval-max-steps", "Chunks after which upstream's measure ends; the other reads the whole text.", 500, 1, Most);
    private readonly Option<bool> _sample = new("--sample-in-eval") { Description = "Draw boundaries, as upstream does; results then depend on --seed." };
    private readonly Option<long> _seed = OptionOf.Number("--seed", "Seed of --sample-in-eval.", 0L, 0L, long.MaxValue);
    private readonly Option<string?> _csv = new("--csv") { Description = "Also write the table to this file.", HelpName = "FILE" };

    /// <inheritdoc/>
    public override string Path => "eval lm";

    /// <inheritdoc/>
    public override string Description => "Bits per character of a language model, with extended context as upstream measures, and at the trained length.";

    /// <inheritdoc/>
    public override bool SharesWork => true;

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        _model.AddTo(command);
        foreach (var option in new Option[] { _data, _part, _length, _total, _batch, _most, _sample, _seed, _csv })
        {
            command.Add(option);
        }
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var arguments = context.Arguments;
        using var model = _model.Load(arguments);
        var corpus = TextCorpus.Open(arguments.GetValue(_data)!, model.Vocabulary);
        corpus.Inventory.Tell(context.Progress);
        var text = arguments.GetValue(_part) == "test" ? corpus.Test : corpus.Validation;
        long? drawing = arguments.GetValue(_sample) ? arguments.GetValue(_seed) : null;
        var trained = model.Card.TrainedLength;
        var evaluations = new (string Name, LmEvaluation Evaluation)[]
        {
            ("extended context, as upstream", new(arguments.GetValue(_length), arguments.GetValue(_total), arguments.GetValue(_batch), arguments.GetValue(_most)) { DrawingSeed = drawing }),
            ("whole text, trained length", new(trained, trained, arguments.GetValue(_batch), null) { DrawingSeed = drawing }),
        };
        var rows = evaluations.Select(entry => LmScoreRow.Of(
            entry.Name,
            (entry.Evaluation with { Processes = Processes.Current })
                .Run(model.Model, entry.Evaluation.Streams(text, model.Boundaries, "the evaluation"), context.Progress, context.Cancellation))).ToList();
        if (arguments.GetValue(_csv) is { } path)
        {
            CsvTable.Write(path, rows);
        }

        var table = new Table().AddColumns("measure", "bits/character", "nats", "characters", "scored", "context", "shortening", "precision", "recall", "characters/s");
        foreach (var row in rows)
        {
            static string Number(double? value, string format) => value?.ToString(format, CultureInfo.InvariantCulture) ?? "";
            table.AddRow(
                row.Measure, $"{row.BitsPerCharacter:0.00000}", $"{row.Loss:0.00000}", $"{row.Characters}", $"{row.Length}", $"{row.Context}",
                Number(row.ShorteningFactor, "0.00"), Number(row.BoundaryPrecision, "0.000"), Number(row.BoundaryRecall, "0.000"), $"{row.CharactersPerSecond:0}");
        }

        context.Console.Write(table);
        if (arguments.GetValue(_total) > trained)
        {
            context.Output.WriteLine($"The model was trained on {trained} characters at a time: the first measure uses distances that it has never seen.");
        }

        context.Output.WriteLine($"test loss {rows[0].Loss:0.00000} | test bpc {rows[0].BitsPerCharacter:0.00000}");
        return ExitCode.Success;
    }
}

/// <summary>Writes text with a language model.</summary>
internal sealed class LmSampleCommand : KitCommand
{
    private readonly LmModelOptions _model = new();
    private readonly Option<string> _prompt = new("--prompt") { Description = "The text to go on from.", HelpName = "TEXT", DefaultValueFactory = _ => "the " };
    private readonly Option<int> _count = OptionOf.Number("--characters", "Characters to write.", 200, 0, 1 << 20);
    private readonly Option<int?> _context = OptionOf.OptionalNumber("--context", "Most characters that the model reads at a time. [default: as in training]", 1, 1 << 20);
    private readonly Option<long> _seed = OptionOf.Number("--seed", "Seed of the choices.", 0L, 0L, long.MaxValue);
    private readonly Option<double> _temperature = new("--temperature")
    {
        Description = "Logits are divided by it; 0 takes the most probable character.",
        HelpName = "T",
        DefaultValueFactory = _ => 1,
        CustomParser = result => OptionOf.Parse(result, text =>
            double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) && value >= 0 && double.IsFinite(value)
                ? value
                : throw new UserException($"--temperature must be a number of 0 and more, not '{text}'")),
    };

    /// <inheritdoc/>
    public override string Path => "lm sample";

    /// <inheritdoc/>
    public override string Description => "Writes text with a language model, with a | behind every character that closes a segment.";

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        _model.AddTo(command);
        foreach (var option in new Option[] { _prompt, _count, _context, _seed, _temperature })
        {
            command.Add(option);
        }
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var arguments = context.Arguments;
        using var model = _model.Load(arguments);
        var sampler = new LmSampler(
            model, arguments.GetValue(_temperature), arguments.GetValue(_context) ?? model.Card.TrainedLength, arguments.GetValue(_seed));
        var count = arguments.GetValue(_count);
        string text;
        using (var handle = context.Progress.Start("writing", count, "characters"))
        {
            text = sampler.Write(arguments.GetValue(_prompt)!, count, handle.Report, context.Cancellation);
        }

        context.Output.WriteLine(text);
        return ExitCode.Success;
    }
}
