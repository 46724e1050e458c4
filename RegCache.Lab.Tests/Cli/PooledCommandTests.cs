using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Training.ShapesClip;

namespace RegCache.Lab.Tests.Cli;

/// <summary>Pooled models from scratch and from given weights, then every command that reads a model.</summary>
[Trait("Category", "Slow")]
public sealed class PooledCommandTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void PooledModelsAreTrainedAndRunInEveryCommand()
    {
        var demo = ModelFolder.FindDemo();
        File.WriteAllText(_folder["tiny.json"], ClipConfigJson.ToJson(ShapesClipArchitecture.Config));
        string[] data = ["--train-data", "shapes", "--train-num-samples", "48", "--batch-size", "16", "--warmup", "2", "--epochs", "1", "--log-every-n-steps", "1"];
        string[] images = ["--imagenet-val", "shapes@test:32", "--run-dir", _folder["eval"], "--baseline", "none"];
        Succeed(["data", "make", "shapes", "--out", _folder["shapes"], "--split", "test", "--count", "2", "--format", "folders"]);

        // A tower with seams and a pooled text tower, beside other systems in a plan.
        Succeed(
        [
            "train", "clip", "--model", _folder["tiny.json"], "--tokenizer", demo, .. data, "--boundary-tower", "vit", "--boundary-rate", "0.25",
            "--boundary-layers", "1,2", "--boundary-exact-budget", "--boundary-text", "words", "--boundary-text-layers", "0,1,1", "--run-dir", _folder["vit"],
        ]);
        var log = File.ReadAllText(Path.Combine(_folder["vit"], "log.jsonl"));
        Assert.Contains("train/boundary_rate", log, StringComparison.Ordinal);
        Assert.Contains("train/text_boundary_rate", log, StringComparison.Ordinal);
        Assert.Contains("train/contrastive_loss", log, StringComparison.Ordinal);
        var vit = Path.Combine(_folder["vit"], "model");
        Assert.Contains("vit tower of 1+2 blocks, boundaries by ditto at rate 0.25", Succeed(["model", "info", vit]), StringComparison.Ordinal);
        Assert.Contains("of 32 images (float+delete+tome)", Succeed(["eval", "classification", "--model", vit, .. images, "--delete-count", "1", "--delete-block", "2", "--merging", "tome", "--r", "1"]), StringComparison.Ordinal);
        Assert.Contains("image_tokens.block2", Succeed(["features", _folder["shapes"], "--model", vit, "--output", _folder["vit.safetensors"], "--blocks", "2"]), StringComparison.Ordinal);
        Assert.Contains("patches in 16 runs", Succeed(["boundaries", _folder["shapes"], "--model", vit, "--out", _folder["pictures"]]), StringComparison.Ordinal);
        Assert.Equal(2, Directory.GetFiles(_folder["pictures"], "*.png").Length);

        // A tower without seams, and one made of given weights.
        Succeed(["train", "clip", "--model", _folder["tiny.json"], "--tokenizer", demo, .. data, "--boundary-tower", "drip", "--boundary-layers", "1,1", "--run-dir", _folder["drip"]]);
        var drip = Path.Combine(_folder["drip"], "model");
        Assert.Contains("of 32 images (float)", Succeed(["eval", "classification", "--model", drip, .. images]), StringComparison.Ordinal);
        Assert.Contains("in ", Succeed(["boundaries", _folder["shapes"], "--model", drip, "--out", _folder["pictures"]]), StringComparison.Ordinal);
        Refuse("DRIP tower, whose relative attention has no seams", ["eval", "classification", "--model", drip, .. images, "--pool", "every"]);
        Succeed(["train", "clip", "--pretrained", demo, .. data, "--boundary-tower", "vit", "--lock-image", "--run-dir", _folder["begun"]]);
        Assert.Contains("ditto", Succeed(["model", "info", Path.Combine(_folder["begun"], "model")]), StringComparison.Ordinal);
        Refuse("train that from random weights", ["train", "clip", "--pretrained", demo, .. data, "--boundary-tower", "drip", "--run-dir", _folder["none"]]);
    }

    [Fact]
    public void TheDemoModelPoolsInAPlan()
    {
        string[] evaluation = ["eval", "classification", "--model", ModelFolder.FindDemo(), "--imagenet-val", "shapes@test:16", "--baseline", "none", "--run-dir", _folder["eval"]];
        Assert.Contains("of 16 images (float+pool)", Succeed([.. evaluation, "--pool", "every", "--pool-rate", "0.25", "--pool-block", "3"]), StringComparison.Ordinal);
        Refuse("needs a trained predictor", [.. evaluation, "--pool", "ditto"]);
        Refuse("--pool-rate is about pooled patches", [.. evaluation, "--pool-rate", "0.5"]);
        Refuse("blocks 0 to 5", [.. evaluation, "--pool", "every", "--pool-block", "9"]);
    }

    [Theory]
    [InlineData("`boundary_tower` is tower", "--boundary-tower", "tower")]
    [InlineData("`boundary_rule` is ditto", "--boundary-rule", "ditto")]
    [InlineData("`boundary_rule` is half", "--boundary-tower", "vit", "--boundary-rule", "half")]
    [InlineData("The boundary rate is 2", "--boundary-tower", "vit", "--boundary-rate", "2")]
    [InlineData("numbers of blocks such as 4,8", "--boundary-tower", "vit", "--boundary-layers", "four")]
    [InlineData("The band of boundary rates is 0.3 to 0.2", "--boundary-tower", "drip", "--boundary-rule", "s-drip", "--boundary-band", "0.3,0.2")]
    [InlineData("three stacks of blocks", "--boundary-text", "gumbel", "--boundary-text-layers", "1,1")]
    public void ImpossibleOptionsAreRefusedInOneSentence(string why, params string[] options)
    {
        File.WriteAllText(_folder["tiny.json"], ClipConfigJson.ToJson(ShapesClipArchitecture.Config));
        Refuse(why, ["train", "clip", "--model", _folder["tiny.json"], "--tokenizer", ModelFolder.FindDemo(), "--train-data", "shapes", "--train-num-samples", "32", "--batch-size", "8", .. options, "--run-dir", _folder["run"]]);
    }

    public void Dispose() => _folder.Dispose();

    private static string Succeed(string[] words)
    {
        var (exitCode, output, error) = ExternalProcess.Run(ExternalProcess.Regcache, words);
        Assert.True(exitCode == 0, error);
        return output;
    }

    private static void Refuse(string why, string[] words)
    {
        var (exitCode, _, error) = ExternalProcess.Run(ExternalProcess.Regcache, words);
        Assert.Equal(2, exitCode);
        Assert.Contains(why, error, StringComparison.Ordinal);
    }
}
