using RegCache.Lab.Pooling.Language;

namespace RegCache.Lab.Tests.Cli;

[Trait("Category", "Slow")]
public sealed class LmCommandTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lm-command-").FullName;

    private string Corpus => Path.Combine(_folder, "text");

    [Theory]
    [InlineData("`data` is missing", "--prior", "0.2")]
    [InlineData("does not exist", "--data", "/no/such/file")]
    [InlineData("must be above 0 and below 1", "--data", "TEXT", "--boundaries-type", "gumbel", "--prior", "1.2")]
    [InlineData("is too short", "--data", "SHORT")]
    [InlineData("is too short", "--data", "EMPTY")]
    [InlineData("not in text8's alphabet: character 1 is 'A'", "--data", "CAPITALS")]
    [InlineData("too few for 4096 streams", "--data", "TEXT", "--batch-size", "4096", "--model-config", "[1, (0,), 0]")]
    public void WhatCannotBeTrainedIsRefusedInOneSentence(string expected, params string[] words)
    {
        WriteCorpus();
        File.WriteAllText(Path.Combine(_folder, "short"), "abc");
        File.WriteAllText(Path.Combine(_folder, "empty"), "");
        File.WriteAllText(Path.Combine(_folder, "capitals"), string.Concat(Enumerable.Repeat("A Sentence. ", 40)));
        var arguments = words.Select(word => word is "TEXT" or "SHORT" or "EMPTY" or "CAPITALS" ? Path.Combine(_folder, word.ToLowerInvariant()) : word);
        var (exitCode, _, error) = ExternalProcess.Run(ExternalProcess.Regcache, ["train", "lm", "--run-dir", Path.Combine(_folder, "run"), .. arguments]);
        Assert.Equal(2, exitCode);
        Assert.Contains(expected, error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", error, StringComparison.Ordinal);
    }

    [Fact]
    public void AModelIsTrainedEvaluatedAndWrites()
    {
        WriteCorpus();
        var run = Path.Combine(_folder, "run");
        string[] train =
        [
            "train", "lm", "--data", Corpus, "--run-dir", run, "--boundaries_type", "unigram", "--unigram-size", "60", "--d-model", "32", "--n-head", "2", "--d-head", "16",
            "--d-inner", "64", "--model-config", "[1, (1,), 1]", "--tgt-len", "32", "--batch-size", "4", "--max-step", "6", "--log-interval", "2", "--eval-tgt-len", "16", "--eval-total-len", "32",
        ];
        Succeed(train);
        var log = File.ReadAllText(Path.Combine(run, "log.jsonl"));
        Assert.All(
            ["train/bpc", "train/batch_time", "train/peak_memory_mb", "train/shortening_factor", "train/boundary_precision", "val/bpc"],
            name => Assert.Contains($"\"{name}\"", log, StringComparison.Ordinal));

        var model = Path.Combine(run, "model");
        var table = Path.Combine(_folder, "table.csv");
        var output = Succeed(["eval", "lm", "--model", model, "--data", Corpus, "--batch-size", "2", "--eval-tgt-len", "16", "--eval-total-len", "64", "--csv", table]);
        Assert.Contains("test bpc ", output, StringComparison.Ordinal);
        Assert.Contains("it has never seen", output, StringComparison.Ordinal);
        Assert.Equal(3, File.ReadAllLines(table).Length);

        var text = Succeed(["lm", "sample", "--model", model, "--prompt", "the small ", "--characters", "20"]).Trim();
        Assert.Equal(30, text.Count(character => character != LmSampler.Boundary));

        File.WriteAllText(Path.Combine(_folder, "other"), string.Concat(Enumerable.Repeat("quiz jazz ", 60)));
        var (exitCode, _, error) = ExternalProcess.Run(ExternalProcess.Regcache, ["eval", "lm", "--model", model, "--data", Path.Combine(_folder, "other")]);
        Assert.Equal(2, exitCode);
        Assert.Contains("which the model's vocabulary", error, StringComparison.Ordinal);
    }

    [Fact]
    public void ATrainingThatIsKilledEndsWithTheSameBytes()
    {
        WriteCorpus();
        string[] Train(string run) =>
        [
            "train", "lm", "--data", Corpus, "--run-dir", Path.Combine(_folder, run), "--boundaries-type", "gumbel", "--d-model", "32", "--n-head", "2", "--d-head", "16", "--threads", "1",
            "--d-inner", "64", "--model-config", "[1, (1,), 1]", "--tgt-len", "32", "--batch-size", "4", "--max-step", "400", "--save-interval", "5", "--eval-tgt-len", "32", "--eval-total-len", "32",
        ];
        Succeed(Train("whole"));
        for (var kill = 0; kill < 3; kill++)
        {
            using var process = ExternalProcess.Start(ExternalProcess.Regcache, Train("killed"));
            var before = Newest();
            while (!process.HasExited && Newest() == before)
            {
                Thread.Sleep(5);
            }

            process.Signal("KILL");
            process.WaitForExit();
        }

        Succeed(Train("killed"));
        string? Newest() => Path.Combine(_folder, "killed", "checkpoints") is var folder && Directory.Exists(folder)
            ? Directory.GetFiles(folder, "step-*").Order(StringComparer.Ordinal).LastOrDefault()
            : null;
        byte[] Model(string run) => File.ReadAllBytes(Path.Combine(_folder, run, "model", "dynamic_pooling_lm.safetensors"));
        Assert.Equal(Model("whole"), Model("killed"));
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private void WriteCorpus() => File.WriteAllText(Corpus, string.Concat(Enumerable.Repeat("the small brown fox sleeps over there ", 60)));

    private static string Succeed(string[] arguments)
    {
        var (exitCode, output, error) = ExternalProcess.Run(ExternalProcess.Regcache, arguments);
        Assert.True(exitCode == 0, error);
        return output;
    }
}
