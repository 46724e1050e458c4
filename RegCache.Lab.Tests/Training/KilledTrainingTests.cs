using System.Diagnostics;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Training.ShapesClip;

namespace RegCache.Lab.Tests.Training;

public sealed class KilledTrainingTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("killed-").FullName;

    [Theory]
    [InlineData("clip", "model/open_clip_model.safetensors")]
    [InlineData("vit", "best_checkpoint_cls_1_reg_1/model.safetensors")]
    [Trait("Category", "Slow")]
    public void ATrainingThatIsKilledAgainAndAgainEndsWithTheSameBytes(string kind, string model)
    {
        var config = kind == "clip" ? WriteConfig() : WriteVitConfig();
        using (var whole = Start(kind, config, "whole"))
        {
            Assert.True(whole.WaitForExit(TimeSpan.FromMinutes(5)));
            Assert.Equal(0, whole.ExitCode);
        }

        var random = new Random(4);
        for (var kill = 0; kill < 3; kill++)
        {
            using var process = Start(kind, config, "killed");
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

        using (var last = Start(kind, config, "killed"))
        {
            Assert.True(last.WaitForExit(TimeSpan.FromMinutes(5)));
            Assert.Equal(0, last.ExitCode);
        }

        Assert.Equal(Model("whole", model), Model("killed", model));
        Assert.Equal(
            File.Exists(Path.Combine(_folder, "whole", "log.txt")) ? File.ReadAllLines(Path.Combine(_folder, "whole", "log.txt")) : [],
            File.Exists(Path.Combine(_folder, "killed", "log.txt")) ? File.ReadAllLines(Path.Combine(_folder, "killed", "log.txt")) : []);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    private byte[] Model(string run, string file) => File.ReadAllBytes(Path.Combine(_folder, run, file));

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

    private string WriteVitConfig()
    {
        var config = Path.Combine(_folder, "vit.json");
        File.WriteAllText(config, """
            {
              "dataset": "shapes", "train_num_samples": 400, "val_num_samples": 48, "input_size": 32, "patch_size": 8, "embed_dim": 32, "num_heads": 2, "depth": 3,
              "num_reg": 2, "cls_pos": 1, "reg_pos": 1, "epochs": 8, "batch_size": 32, "warmup_epochs": 1, "lr": 0.01, "model_ema_decay": 0.9, "sam_rho": 0.05
            }
            """);
        return config;
    }

    private Process Start(string kind, string config, string run)
    {
        var start = new ProcessStartInfo("dotnet")
        {
            ArgumentList =
            {
                Path.Combine(AppContext.BaseDirectory, "regcache.dll"), "train", kind, "--config", config,
                "--run-dir", Path.Combine(_folder, run), "--threads", "1",
            },
        };
        start.Environment["OMP_NUM_THREADS"] = "1";
        return Process.Start(start)!;
    }
}
