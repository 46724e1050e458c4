using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Training.ShapesClip;

namespace RegCache.Lab.Tests.Cli;

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
