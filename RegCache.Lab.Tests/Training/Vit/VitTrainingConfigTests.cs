using System.CommandLine;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using RegCache.Lab.Cli;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Placement;
using RegCache.Lab.Reports;
using RegCache.Lab.Training;
using RegCache.Lab.Training.Vit;

namespace RegCache.Lab.Tests.Training.Vit;

public sealed class VitTrainingConfigTests
{
    private static readonly string _folder = Path.Combine(Goldens.RepositoryRoot, "models", "configs");
    private static readonly RootCommand _root = CommandTree.Build(KitCommand.All(), (_, _) => 0);

    public static TheoryData<string> Recipes => [.. Directory.GetFiles(_folder, "train-vit-*.json").Select(path => Path.GetFileName(path))];

    [Fact]
    public void TheSchemaInTheRepositoryIsUpToDate() =>
        Assert.Equal(TrainingConfigFile.Schema<VitTrainingConfig>(), File.ReadAllText(Path.Combine(_folder, "train-vit.schema.json")));

    [Theory]
    [MemberData(nameof(Recipes))]
    public void RecipesAreComplete(string name)
    {
        var config = TrainingConfigFile.Load<VitTrainingConfig>(Path.Combine(_folder, name), new() { ["data_path"] = "/data" });
        Assert.Equal(config.NumReg, config.Architecture(10).Registers);

        // A rate of zero from the first to the last epoch would be a slip in the recipe.
        var schedule = new EpochCosineSchedule(config.ScaledLr, config.WarmupEpochs, config.Epochs, 1, config.WarmupLr, config.MinLr);
        Assert.InRange(schedule.At(config.WarmupEpochs), 1e-4, 5e-3);
    }

    [Fact]
    public void EveryFieldHasAnOption()
    {
        var fields = ReportJson.Options.GetTypeInfo(typeof(VitTrainingConfig)).Properties
            .Where(property => property.AttributeProvider?.IsDefined(typeof(JsonIgnoreAttribute), inherit: true) is not true)
            .Select(property => property.Name);
        Assert.Equal(fields.Except(["sam_rho", "sam_adaptive"]).Order(), VitFields.All.Select(field => field.Name).Order());
    }

    [Fact]
    public void OptionsOfThePublishedScriptsAreTakenAsTheySpellThem()
    {
        var parsed = _root.Parse([
            "train", "vit", "--data-set", "imagenet", "--data-path", "/data", "--num_reg", "4", "--cls_pos", "6", "--reg_pos", "3", "--output_dir", "/runs/a",
            "--batch-size", "256", "--lr", "4e-3", "--unscale-lr", "--ThreeAugment", "--opt", "adamw", "--weight-decay", "0.05", "--eval-crop-ratio", "1.0",
            "--drop-path", "0.05", "--smoothing", "0.0", "--bce-loss", "--mixup", ".8", "--clip-grad", "none", "--num_workers", "2",
        ]);
        Assert.Empty(parsed.Errors);
        var given = new TrainingFieldOptions<VitTrainingConfig>(VitFields.All, VitFields.Refused, """{"dataset": ""}""");
        var command = new Command("x");
        given.AddTo(command);
        var config = TrainingConfigFile.Load<VitTrainingConfig>(null, given.Read(new RootCommand { command }.Parse([
            "x", "--data-set", "imagenet", "--data-path", "/data", "--model", "tiny", "--num_reg", "2", "--cls_pos", "6", "--reg_pos", "3", "--ThreeAugment", "--aa", "none",
        ])));
        Assert.Equal((2, 6, 3, true), (config.NumReg, config.ClsPos, config.RegPos, config.ThreeAugment));
        Assert.Null(config.Transform.RandAugment);
    }

    [Theory]
    [InlineData("--resume", "--run-dir")]
    [InlineData("--model-ema", "--model-ema-decay")]
    [InlineData("--sched", "cosine")]
    public void OtherOptionsOfThePublishedScriptsAreRefusedWithWhatToUse(string option, string instead) =>
        Assert.Contains(instead, Assert.Single(_root.Parse(["train", "vit", option, "x"]).Errors).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("""{"cls_pos": 12}""", "cls_pos must be a block from 0 to 11, not 12")]
    [InlineData("""{"reg_pos": -1}""", "reg_pos")]
    [InlineData("""{"dist_pos": 12}""", "dist_pos")]
    [InlineData("""{"embed_dim": 100}""", "num_heads")]
    [InlineData("""{"input_size": 30}""", "patch_size")]
    [InlineData("""{"data_path": null}""", "`data_path` is missing")]
    [InlineData("""{"dataset": "mnist"}""", "cifar10")]
    [InlineData("""{"batch_size": 33}""", "`batch_size` is 33, but must be even")]
    [InlineData("""{"bce_loss": true}""", "`smoothing` is 0.1")]
    [InlineData("""{"distillation_type": "soft"}""", "`teacher` is missing")]
    [InlineData("""{"teacher": "x"}""", "`distillation_type` is none")]
    [InlineData("""{"distillation_type": "softly"}""", "type of distillation 'softly'")]
    [InlineData("""{"aa": "rand-m12-inc1"}""", "rand-m12-inc1")]
    [InlineData("""{"opt": "adam"}""", "adamw, lamb, sgd")]
    [InlineData("""{"hue_jitter": 0.1}""", "`hue_jitter` is 0.1, but must be 0 with a policy")]
    [InlineData("""{"rotation": -1}""", "`rotation` is -1")]
    [InlineData("""{"drop_path": 1}""", "drop_path_rate")]
    [InlineData("""{"block": "serial"}""", "block")]
    [InlineData("""{"embed_dim": null}""", "`model` is missing")]
    [InlineData("""{"learning_rate": 1}""", "there is no such field")]
    public void ImpossibleValuesAreRefusedByName(string fields, string expected)
    {
        var all = new JsonObject
        {
            ["dataset"] = "cifar10", ["data_path"] = "/data", ["embed_dim"] = 192, ["num_heads"] = 3, ["input_size"] = 32, ["patch_size"] = 4, ["batch_size"] = 32,
        };
        foreach (var (name, value) in JsonNode.Parse(fields)!.AsObject())
        {
            all[name] = value?.DeepClone();
        }

        var message = Assert.Throws<UserException>(() => TrainingConfigFile.Load<VitTrainingConfig>(null, all)).Message;
        Assert.Contains(expected, message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', message);
    }

    [Theory]
    [InlineData(1024, false, 8e-3)]
    [InlineData(256, true, 4e-3)]
    public void RatesAreScaledByTheBatch(int batch, bool unscaled, double expected) => Assert.Equal(
        expected, new VitTrainingConfig { Dataset = "shapes", Lr = 4e-3, BatchSize = batch, UnscaleLr = unscaled }.ScaledLr, 1e-15);

    [Fact]
    public void ADistilledDeitNeedsNoNumberOfRegisters() => Assert.Equal(
        new PlacementConfig { Width = 192, Heads = 3, Registers = 0, DeitDistilled = true, Classes = 10, DropPathRate = 0.1 },
        new VitTrainingConfig { Dataset = "shapes", Model = "tiny", DeitDistilled = true }.Architecture(10));
}
