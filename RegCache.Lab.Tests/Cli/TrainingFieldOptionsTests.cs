using System.CommandLine;
using System.Text.Json.Serialization;
using RegCache.Lab.Cli;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Reports;
using RegCache.Lab.Tests.Memory;
using RegCache.Lab.Training;
using RegCache.Lab.Training.Clip;

namespace RegCache.Lab.Tests.Cli;

public sealed class TrainingFieldOptionsTests
{
    private static readonly RootCommand _root = CommandTree.Build(KitCommand.All(), (_, _) => 0);

    public static TheoryData<string> Trainings => ["clip", "distill", "finetune"];

    [Theory]
    [MemberData(nameof(Trainings))]
    [Trait("Category", "Golden")]
    public void EveryOptionOfTheSeedsCommandsIsThereOrIsRefusedWithWhatToUse(string name)
    {
        string[] later = ["--dataset_name", "--early_stop_patience", "--early_stop_min_delta", "--student-model", "--use-memory", "--loss-type"];
        var command = Command(name);
        var flags = MemoryGolden.Read("train_options.json").GetProperty("options").EnumerateArray()
            .SelectMany(option => option.GetProperty("flags").EnumerateArray()).Select(flag => flag.GetString()!).Concat(later);
        foreach (var flag in flags)
        {
            var option = command.Options.SingleOrDefault(option => option.Name == flag || option.Aliases.Contains(flag));
            Assert.True(option is not null, $"train {name} does not know {flag}.");
            if (option.Hidden)
            {
                var error = Assert.Single(_root.Parse(["train", name, flag, "1"]).Errors).Message;
                Assert.StartsWith($"{option.Name} is not an option of this command: ", error, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void EveryFieldOfAConfigurationHasAnOption()
    {
        string[] own = ["sam_rho", "sam_adaptive"];
        foreach (var type in new[] { typeof(ClipTrainingConfig), typeof(DistillTrainingConfig), typeof(FinetuneTrainingConfig) })
        {
            var fields = ReportJson.Options.GetTypeInfo(type).Properties
                .Where(property => property.AttributeProvider?.IsDefined(typeof(JsonIgnoreAttribute), inherit: true) is not true)
                .Select(property => property.Name).Except(own);
            Assert.Empty(fields.Except(TrainingField.All.Select(field => field.Name)));
        }
    }

    [Fact]
    public void TheCommandLineWinsOverTheFile()
    {
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, """{"pretrained": "a", "train_data": "shapes", "lr": 0.5, "batch_size": 4}""");
            var config = TrainingConfigFile.Load<DistillTrainingConfig>(path, Given(
                "--lr", "1e-3", "--crop-scale", "none", "--loss-type", "cosine", "--dataset_name", "mscoco", "--mem-share-values", "false", "--grad-checkpointing",
                "--value-fixed-lr", "none", "--color-jitter", "0.1,0.2,0.3,0.4", "--csv-separator", "\\t", "--precision", "amp_bf16", "--early_stop_patience", "3"));
            Assert.Equal((1e-3, 4), (config.Lr, config.BatchSize));
            Assert.Null(config.CropScale);
            Assert.Null(config.ValueFixedLr);
            Assert.Equal([0.1, 0.2, 0.3, 0.4], config.ColorJitter!);
            Assert.Equal(("cosine", PairGrouping.Mscoco, "\t", TrainingPrecision.AmpBf16, 3), (config.LossType, config.DatasetName, config.CsvSeparator, config.Precision, config.EarlyStopPatience));
            Assert.False(config.MemShareValues);
            Assert.True(config.GradCheckpointing);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Theory]
    [InlineData("the command line: `batch_size`: the value is of a wrong type", "--batch-size", "many")]
    [InlineData("`lr` is -1", "--lr", "-1")]
    [InlineData("The loss type 'huber' is unknown", "--loss-type", "huber")]
    [InlineData("`cache_teacher`", "--cache-teacher")]
    [InlineData("`accumulation`", "--accumulation", "gradients")]
    [InlineData("`train_only_memory`", "--train-only-memory", "false")]
    [InlineData("`early_stop_patience`", "--early-stop-patience", "-2")]
    public void ImpossibleValuesAreNamed(string expected, params string[] words) => Assert.Contains(
        expected,
        Assert.Throws<UserException>(() => TrainingConfigFile.Load<DistillTrainingConfig>(null, Given(["--pretrained", "t", "--train-data", "shapes", .. words]))).Message,
        StringComparison.Ordinal);

    [Fact]
    public void WhatIsMissingIsNamed()
    {
        Assert.Contains("`train_data`", Assert.Throws<UserException>(() => TrainingConfigFile.Load<DistillTrainingConfig>(null, Given("--pretrained", "t"))).Message, StringComparison.Ordinal);
        Assert.Contains("`pretrained`", Assert.Throws<UserException>(() => TrainingConfigFile.Load<DistillTrainingConfig>(null, Given("--train-data", "shapes", "--model", "m", "--tokenizer", "t"))).Message, StringComparison.Ordinal);
    }

    private static Command Command(string name) => _root.Subcommands.Single(command => command.Name == "train").Subcommands.Single(command => command.Name == name);

    private static System.Text.Json.Nodes.JsonObject Given(params string[] words)
    {
        var options = TrainingField.OfPairs<DistillTrainingConfig>();
        var command = new RootCommand();
        options.AddTo(command);
        var parsed = command.Parse(words);
        Assert.Empty(parsed.Errors);
        return options.Read(parsed);
    }
}
