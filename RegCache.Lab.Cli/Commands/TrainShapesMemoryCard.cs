using System.Text.Json;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data.Retrieval;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Memory;
using RegCache.Lab.Reports;
using RegCache.Lab.Training.Clip;
using Spectre.Console;
using TorchSharp;

namespace RegCache.Lab.Cli.Commands;

/// <summary>The model card of the demo model's student with memory: how it was made, and every number of its evaluation.</summary>
/// <param name="Learned">What each stage trains.</param>
/// <param name="NotShown">What the numbers do not show.</param>
/// <param name="Recipe">The stages: command and configuration.</param>
/// <param name="TrainSeconds">Wall time of the training steps of each stage, without the evaluations.</param>
/// <param name="WeightsSha256">SHA-256 of the weight file.</param>
/// <param name="Versions">Versions of the kit, its libraries and the system.</param>
/// <param name="Memory">What the memory layers add and remove.</param>
/// <param name="Slots">How the slots of each memory are used on calibration images.</param>
/// <param name="Registers">Patch norms and outliers of the student on calibration images, by place.</param>
/// <param name="Results">Every model's accuracy and recalls.</param>
internal sealed record TrainShapesMemoryCard(
    string Learned,
    string NotShown,
    IReadOnlyList<MemoryRecipe> Recipe,
    IReadOnlyDictionary<string, double> TrainSeconds,
    string WeightsSha256,
    IReadOnlyDictionary<string, string> Versions,
    MemoryReport Memory,
    IReadOnlyList<SlotSummary> Slots,
    IReadOnlyList<TokenNorms> Registers,
    IReadOnlyList<MemoryDemoRow> Results)
{
    private const int BatchSize = 64;
    private const int CalibrationImages = 512;

    /// <summary>Measures the saved model, and those it comes from. Choices are made by the recalls on calibration images alone.</summary>
    public static TrainShapesMemoryCard Measure(long seed, IReadOnlyList<MemoryStage> stages, RunDirectory directory, CancellationToken cancellation)
    {
        var models = new List<StudiedModel>();
        try
        {
            var teacher = new ExperimentOptions { BatchSize = BatchSize };
            var opened = stages.Select(stage => (stage.Role, Path: stage == MemoryStage.Finetune ? directory.PathOf("model") : stage.Model(directory)));
            foreach (var (role, options) in opened.Select(one => (one.Role, MemoryStudy.StudentOptions(one.Path, teacher))).Prepend((MemoryStudy.Teacher, teacher)))
            {
                models.Add(new(role, Experiment.Open(options, directory.Progress, cancellation)));
            }

            var student = models.Single(model => model.Role == MemoryStudy.Finetuned).Experiment;
            var calibration = new ShapesImageSource(ShapesSet.Generate(ShapesSplit.Calibration, CalibrationImages, cancellation: cancellation));
            return new(
                "distill: the memory layers alone, from the teacher's image features; finetune: everything, from long captions and their first sentences. The registers that were planted in the teacher are no longer restored after each step.",
                "That memory is what improves retrieval by long captions: the teacher, finetuned on them without memory, improves as well (docs/results.md). 18 words are no long captions in the sense of the literature.",
                [.. stages.Select(stage => MemoryRecipe.Of(stage, seed))],
                stages.ToDictionary(stage => stage.Name, stage => TrainingTime.Seconds(Path.Combine(directory.PathOf(stage.Name), "log.jsonl"))),
                student.Hash,
                KitVersions.Current,
                MemoryReport.Of(student.Model.Config),
                SlotSummary.Of(student.Tower, calibration),
                TokenNorms.Measure(
                    student.Tower, calibration, calibration.Count, new("norms", BatchSize) { Progress = directory.Progress, Cancellation = cancellation }),
                MemoryDemoRow.Measure(models, cancellation));
        }
        finally
        {
            models.ForEach(model => model.Experiment.Dispose());
        }
    }

    /// <summary>The card as JSON.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, ReportJson.Options) + "\n";

    /// <summary>Prints the results.</summary>
    public void Print(IAnsiConsole console)
    {
        var table = new Table().AddColumns("model", "parameters", "top-1 %", "long: i to t", "long: t to i", "usual: i to t", "usual: t to i", "choice");
        foreach (var row in Results)
        {
            table.AddRow(
                row.Model, $"{row.VisionParameters:N0}", $"{row.Top1:0.00}", $"{row.LongImageToText:0.0}", $"{row.LongTextToImage:0.0}", $"{row.UsualImageToText:0.0}",
                $"{row.UsualTextToImage:0.0}", $"{row.Choice:0.00}");
        }

        console.Write(table);
    }
}

/// <summary>A stage as it was run.</summary>
/// <param name="Stage">Its name.</param>
/// <param name="Command">The command.</param>
/// <param name="Config">Its configuration.</param>
internal sealed record MemoryRecipe(string Stage, string Command, JsonElement Config)
{
    /// <summary>The stage with its seed.</summary>
    public static MemoryRecipe Of(MemoryStage stage, long seed) =>
        new(stage.Name, $"regcache {stage.Make().Path} --config models/configs/{stage.Config} --seed {seed}", JsonElement.Parse(File.ReadAllText(stage.ConfigFile)));
}

/// <summary>How a memory's slots are used.</summary>
/// <param name="Block">The block of the memory.</param>
/// <param name="Slots">Number of slots.</param>
/// <param name="UsedShare">Share of slots that were read at least once.</param>
/// <param name="EffectiveSlots">Exponential of the reads' entropy.</param>
internal sealed record SlotSummary(int Block, long Slots, double UsedShare, double EffectiveSlots)
{
    /// <summary>Counts on a set of images.</summary>
    public static IReadOnlyList<SlotSummary> Of(VisionTower tower, ShapesImageSource images)
    {
        var memory = tower.Config.Memory!;
        var usage = new SlotUsage(memory);
        using var runner = new PlanRunner(tower);
        foreach (var batch in images.ReadBatches(64))
        {
            using var scope = torch.NewDisposeScope();
            using var owned = batch;
            runner.Run(batch.Images, EncoderPlan.Plain(tower.Blocks.Count), usage);
        }

        return [.. memory.Blocks.Select(block => new SlotSummary(block, memory.Slots, usage.UsedShare(block), usage.EffectiveSlots(block)))];
    }
}

/// <summary>A model's numbers; accuracy and recalls in percent. R@1 of 500 pairs of the retrieval split, accuracy on 1920 test images.</summary>
/// <param name="Model">Its role.</param>
/// <param name="VisionParameters">Parameters of the vision tower, a shared table counted once.</param>
/// <param name="Top1">Zero-shot accuracy.</param>
/// <param name="LongImageToText">R@1, images find long captions.</param>
/// <param name="LongTextToImage">R@1, long captions find images.</param>
/// <param name="UsualImageToText">R@1, images find the usual captions.</param>
/// <param name="UsualTextToImage">R@1, the usual captions find images.</param>
/// <param name="Choice">R@1 by long captions on calibration images, the mean of both directions: the median seed is chosen by it.</param>
internal sealed record MemoryDemoRow(
    string Model, long VisionParameters, double Top1, double LongImageToText, double LongTextToImage, double UsualImageToText, double UsualTextToImage, double Choice)
{
    /// <summary>Measures models.</summary>
    public static IReadOnlyList<MemoryDemoRow> Measure(IReadOnlyList<StudiedModel> models, CancellationToken cancellation)
    {
        var recalls = new[] { "shapes-long", "shapes", "shapes-long@calibration" }.Select(name =>
        {
            var address = RetrievalAddress.Parse(name);
            using var set = address.Open(cancellation: cancellation);
            using var measured = MemoryStudy.Measure(models, name, address.Part, set);
            return measured.Models.Select(model => (ToText: model.Ranks.ImageToText.PercentAt(1), ToImage: model.Ranks.TextToImage.PercentAt(1))).ToArray();
        }).ToArray();
        var costs = MemoryStudy.Costs(models);
        return [.. models.Select((model, index) => new MemoryDemoRow(
            model.Role,
            costs[index].VisionParameters,
            model.Experiment.Evaluate(EncoderPlan.Plain(model.Experiment.Tower.Blocks.Count)).Single().Accuracy,
            recalls[0][index].ToText,
            recalls[0][index].ToImage,
            recalls[1][index].ToText,
            recalls[1][index].ToImage,
            (recalls[2][index].ToText + recalls[2][index].ToImage) / 2))];
    }
}
