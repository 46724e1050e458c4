using System.Diagnostics;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Training.ShapesClip;

namespace RegCache.Lab.Tests.Training;

public sealed class KilledTrainingTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("killed-").FullName;

    [Fact]
    [Trait("Category", "Slow")]
    public void ATrainingThatIsKilledAgainAndAgainEndsWithTheSameBytes()
    {
        var config = WriteConfig();
        using (var whole = Start(config, "whole"))
        {
            Assert.True(whole.WaitForExit(TimeSpan.FromMinutes(5)));
            Assert.Equal(0, whole.ExitCode);
        }

        var random = new Random(4);
        for (var kill = 0; kill < 3; kill++)
        {
            using var process = Start(config, "killed");
            var before = Checkpoints();
            var deadline = Stopwatch.StartNew();

            // Killed at any moment after it has saved something new, so that every round makes progress.
            while (!process.HasExited && Checkpoints().SetEquals(before) && deadline.Elapsed < TimeSpan.FromMinutes(3))
            {
                Thread.Sleep(5);
            }

            Thread.Sleep(random.Next(0, 200));
            process.Kill();
            process.WaitForExit();
        }

        using (var last = Start(config, "killed"))
        {
            Assert.True(last.WaitForExit(TimeSpan.FromMinutes(5)));
            Assert.Equal(0, last.ExitCode);
        }

        Assert.Equal(Model("whole"), Model("killed"));
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private byte[] Model(string run) => File.ReadAllBytes(Path.Combine(_folder, run, "model", "open_clip_model.safetensors"));

    private HashSet<string> Checkpoints()
    {
        var folder = Path.Combine(_folder, "killed", "checkpoints");
        return Directory.Exists(folder) ? [.. Directory.GetFiles(folder, "step-*").Select(path => Path.GetFileName(path))] : [];
    }

    private string WriteConfig()
    {
        var tiny = ShapesClipArchitecture.Config with
        {
            Vision = ShapesClipArchitecture.Config.Vision with { Layers = 1, Width = 32, HeadWidth = 16, PatchSize = 16 },
            Text = ShapesClipArchitecture.Config.Text! with { Layers = 1, Width = 32, Heads = 2 },
        };
        File.WriteAllText(Path.Combine(_folder, "tiny.json"), ClipConfigJson.ToJson(tiny));
        ShapesClipArchitecture.Tokenizer.Save(Path.Combine(_folder, "word_tokenizer.json"));
        var config = Path.Combine(_folder, "config.json");
        File.WriteAllText(config, $$"""
            {
              "model": "{{_folder}}/tiny.json", "tokenizer": "{{_folder}}/word_tokenizer.json", "train_data": "shapes",
              "train_num_samples": 256, "epochs": 10, "batch_size": 16, "warmup": 5, "ema_decay": 0.9, "save_every_n_steps": 5
            }
            """);
        return config;
    }

    private Process Start(string config, string run)
    {
        var start = new ProcessStartInfo("dotnet")
        {
            ArgumentList =
            {
                Path.Combine(AppContext.BaseDirectory, "regcache.dll"), "train", "clip", "--config", config,
                "--run-dir", Path.Combine(_folder, run), "--threads", "1",
            },
        };
        start.Environment["OMP_NUM_THREADS"] = "1";
        return Process.Start(start)!;
    }
}
