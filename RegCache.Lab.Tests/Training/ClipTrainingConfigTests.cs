using RegCache.Lab.Training;
using RegCache.Lab.Training.Clip;

namespace RegCache.Lab.Tests.Training;

public sealed class ClipTrainingConfigTests : IDisposable
{
    private const string Needed = "\"model\": \"m\", \"tokenizer\": \"t\", \"train_data\": \"shapes\"";
    private readonly string _path = Path.GetTempFileName();

    [Fact]
    public void AFileOfTheNeededFieldsHasTheDefaults()
    {
        var config = Load("{" + Needed + "}");
        Assert.Equal(5e-4, config.Lr);
        Assert.Equal(0.2, config.Wd);
    }

    [Theory]
    [InlineData("\"learning_rate\": 1", "learning_rate", "no such field")]
    [InlineData("\"lr\": \"fast\"", "lr", "wrong type")]
    [InlineData("\"lr\": -1", "lr", "above 0")]
    [InlineData("\"batch_size\": 1.5", "batch_size", "wrong type")]
    [InlineData("\"batch_size\": 0", "batch_size", "at least 1")]
    [InlineData("\"lr_scheduler\": \"linear\"", "lr_scheduler", "wrong type")]
    [InlineData("\"lr_scheduler\": \"const_cooldown\"", "epochs_cooldown", "at least 1")]
    [InlineData("\"warmup_epochs\": -1", "warmup_epochs", "0 or more")]
    [InlineData("\"crop_scale\": [1, 0.5]", "crop_scale", "ascending")]
    [InlineData("\"color_jitter\": [0.1, 0.1]", "color_jitter", "four numbers")]
    [InlineData("\"gray_scale_prob\": 2", "gray_scale_prob", "from 0 to 1")]
    [InlineData("\"patch_dropout\": 1", "patch_dropout", "from 0")]
    [InlineData("\"ema_decay\": 1", "ema_decay", "between 0 and 1")]
    [InlineData("\"sam_rho\": 0", "sam_rho", "above 0")]
    [InlineData("\"sam_adaptive\": true", "sam_adaptive", "without `sam_rho`")]
    [InlineData("\"prompts\": \"p.json\"", "prompts", "imagenet_val")]
    public void UnknownAndImpossibleValuesAreRefusedByName(string field, string name, string reason)
    {
        var message = Assert.Throws<UserException>(() => Load("{" + Needed + ", " + field + "}")).Message;
        Assert.Contains(_path, message, StringComparison.Ordinal);
        Assert.Contains($"`{name}`", message, StringComparison.Ordinal);
        Assert.Contains(reason, message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{", "not valid JSON")]
    [InlineData("null", "null")]
    [InlineData("{\"lr\": 1}", "required")]
    public void WhatIsNoConfigurationIsRefused(string content, string reason) =>
        Assert.Contains(reason, Assert.Throws<UserException>(() => Load(content)).Message, StringComparison.Ordinal);

    [Fact]
    public void TheSchemaNamesEveryField()
    {
        var schema = TrainingConfigFile.Schema<ClipTrainingConfig>();
        Assert.Contains("\"accum_freq\"", schema, StringComparison.Ordinal);
        Assert.Contains("\"cached_features\"", schema, StringComparison.Ordinal);
        Assert.DoesNotContain("\"loop\"", schema, StringComparison.Ordinal);
    }

    [Fact]
    public void TheExampleAndTheSchemaInTheRepositoryAreUpToDate()
    {
        var folder = Path.Combine(Goldens.RepositoryRoot, "models", "configs");
        Assert.Equal(TrainingConfigFile.Schema<ClipTrainingConfig>(), File.ReadAllText(Path.Combine(folder, "train-clip.schema.json")));
        Assert.Equal(TrainingConfigFile.Schema<DistillTrainingConfig>(), File.ReadAllText(Path.Combine(folder, "train-distill.schema.json")));
        Assert.Equal(TrainingConfigFile.Schema<FinetuneTrainingConfig>(), File.ReadAllText(Path.Combine(folder, "train-finetune.schema.json")));
        Assert.Equal("shapes", TrainingConfigFile.Load<ClipTrainingConfig>(Path.Combine(folder, "train-clip-shapes.json")).TrainData);
    }

    [Theory]
    [InlineData(0, 128, 1)]
    [InlineData(1, 32, 3)]
    [InlineData(2, 32, 10)]
    [InlineData(3, 32, 30)]
    public void ThePlansOfTheCocoRunsNeedDataAndVocabularyAlone(int plan, int batch, int epochs)
    {
        var path = Path.Combine(Goldens.RepositoryRoot, "models", "configs", $"COCO_{plan}.json");
        var config = TrainingConfigFile.Load<ClipTrainingConfig>(path, new() { ["train_data"] = "coco.csv", ["tokenizer"] = "bpe.txt.gz" });
        Assert.Equal(("RN50", 1e-4, 0.1, 50), (config.Model, config.Lr, config.Wd, config.Warmup));
        Assert.Equal((batch, epochs, 0.9, 0.999, 1e-8), (config.BatchSize, config.Epochs, config.Beta1, config.Beta2, config.Eps));
        Assert.Equal((",", "filepath", "caption"), (config.CsvSeparator, config.CsvImgKey, config.CsvCaptionKey));
        Assert.Contains("train_data", Assert.Throws<UserException>(() => TrainingConfigFile.Load<ClipTrainingConfig>(path)).Message, StringComparison.Ordinal);
    }

    public void Dispose() => File.Delete(_path);

    private ClipTrainingConfig Load(string content)
    {
        File.WriteAllText(_path, content);
        return TrainingConfigFile.Load<ClipTrainingConfig>(_path);
    }
}
