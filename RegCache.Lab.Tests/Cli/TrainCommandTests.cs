using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Training.ShapesClip;

namespace RegCache.Lab.Tests.Cli;

[Trait("Category", "Slow")]
public sealed class TrainCommandTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("train-").FullName;

    [Fact]
    public void AMissingShardIsNamed()
    {
        var message = Refusal($"{_folder}/shard-{{000..001}}.tar");
        Assert.Contains("train_data", message, StringComparison.Ordinal);
        Assert.Contains("shard-000.tar", message, StringComparison.Ordinal);
        Assert.Contains($"`train_data`: {_folder}/pairs.csv does not exist; correct the path", Refusal($"{_folder}/pairs.csv"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("`mem_knn` is 9", "--mem-knn", "9")]
    [InlineData("`mem_k_dim` is 7, but must be even", "--mem-k-dim", "7")]
    [InlineData("block 9, but the vision tower has blocks 0 to 5", "--memory-layers", "2,9")]
    [InlineData("`accuracy`, which the evaluation does not measure", "--early-stop-patience", "1", "--early-stop-metric", "accuracy", "--val-data", "shapes", "--val-num-samples", "10")]
    [InlineData("--workers is not an option of this command: images are decoded on all cores: use --threads", "--workers", "4")]
    [InlineData("nothing over the network", "--report-to", "wandb")]
    public void ImpossibleDistillationsAreRefusedInOneSentence(string expected, params string[] words)
    {
        var run = Path.Combine(_folder, "run");
        var (exitCode, _, error) = ExternalProcess.Run(
            ExternalProcess.Regcache,
            ["train", "distill", "--pretrained", Path.Combine(Goldens.RepositoryRoot, "models", "shapes-clip"), "--train-data", "shapes", "--train-num-samples", "20", "--batch-size", "10", "--run-dir", run, .. words]);
        Assert.Equal(2, exitCode);
        Assert.Contains(expected, error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(run, "model")));
    }

    [Fact]
    public void TheDemoModelIsDistilledAndFinetuned()
    {
        var demo = Path.Combine(Goldens.RepositoryRoot, "models", "shapes-clip");
        string[] data = ["--train-data", "shapes", "--train-num-samples", "64", "--val-data", "shapes", "--val-num-samples", "24", "--batch-size", "16", "--epochs", "2", "--warmup", "2"];
        var distilled = Path.Combine(_folder, "distilled");
        string[] distill =
        [
            "train", "distill", "--pretrained", demo, "--run-dir", distilled, "--loss-type", "cosine", "--lr", "1e-3", "--mem-k-dim", "16", "--mem-v-dim", "16", "--accum-freq", "2",
            "--crop-scale", "none", "--cache-teacher", "--grad-checkpointing", "--precision", "amp_bf16", "--early-stop-patience", "3", .. data,
        ];
        Succeed(distill);
        Succeed(distill);
        using (var teacher = LoadedClip.Load(demo))
        using (var student = LoadedClip.Load(Path.Combine(distilled, "best")))
        {
            Assert.Equal([2, 4], student.Model.Config.Vision.Memory!.Blocks);
            Assert.Equal(teacher.Preprocess, student.Preprocess);
            Assert.Equal(teacher.RequireTokenizer().EncodeBatch(["a red circle"]), student.RequireTokenizer().EncodeBatch(["a red circle"]));
        }

        var finetuned = Path.Combine(_folder, "finetuned");
        Succeed(["train", "finetune", "--student-model", Path.Combine(distilled, "best"), "--pretrained", demo, "--run-dir", finetuned, "--lr", "1e-4", .. data]);
        using var model = LoadedClip.Load(Path.Combine(finetuned, "model"));
        Assert.Equal([2, 4], model.Model.Config.Vision.Memory!.Blocks);
        Assert.Contains("contrastive_loss_short", File.ReadAllText(Path.Combine(finetuned, "log.jsonl")), StringComparison.Ordinal);
    }

    private static void Succeed(string[] arguments)
    {
        var (exitCode, _, error) = ExternalProcess.Run(ExternalProcess.Regcache, arguments);
        Assert.True(exitCode == 0, error);
    }

    // What the command says on standard error when it is given this data.
    private string Refusal(string data)
    {
        File.WriteAllText(Path.Combine(_folder, "tiny.json"), ClipConfigJson.ToJson(ShapesClipArchitecture.Config));
        ShapesClipArchitecture.Tokenizer.Save(Path.Combine(_folder, "word_tokenizer.json"));
        var config = Path.Combine(_folder, "config.json");
        File.WriteAllText(
            config, $"{{\"model\": \"{_folder}/tiny.json\", \"tokenizer\": \"{_folder}\", \"train_data\": \"{data}\"}}");
        var (exitCode, _, error) = ExternalProcess.Run(ExternalProcess.Regcache, ["train", "clip", "--config", config, "--run-dir", _folder]);
        Assert.Equal(2, exitCode);
        return error;
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}
