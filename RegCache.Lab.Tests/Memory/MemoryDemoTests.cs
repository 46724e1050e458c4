using System.Security.Cryptography;
using System.Text.Json;
using RegCache.Lab.Data.Retrieval;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Memory;
using RegCache.Lab.Notebooks.Pictures;

namespace RegCache.Lab.Tests.Memory;

/// <summary>The shipped student with memory is the one of its card, and its card is true.</summary>
public class MemoryDemoTests
{
    private const int MostBytes = 3_000_000;

    private static readonly string _folder = Path.Combine(Goldens.RepositoryRoot, "models", "shapes-clip-memory");

    private static JsonElement Card { get; } = JsonElement.Parse(File.ReadAllText(Path.Combine(_folder, "model-card.json")));

    [Fact]
    public void TheCardIsOfTheseWeights()
    {
        var weights = Path.Combine(_folder, "open_clip_model.safetensors");
        Assert.InRange(new FileInfo(weights).Length, 1, MostBytes);
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(weights))), Card.GetProperty("weights_sha256").GetString());
        using var clip = LoadedClip.Load(_folder);
        var report = MemoryReport.Of(clip.Model.Config);
        Assert.Equal(report.Vision, Card.GetProperty("memory").GetProperty("vision").GetInt64());
        Assert.Equal(report.Net, Card.GetProperty("memory").GetProperty("net").GetInt64());
        Assert.True(report.Net < 0);
    }

    [Fact]
    public void TheCardHasTheConfigurationsOfTheRepository()
    {
        foreach (var stage in Card.GetProperty("recipe").EnumerateArray())
        {
            var words = stage.GetProperty("command").GetString()!.Split(' ');
            var config = Path.Combine(Goldens.RepositoryRoot, words[Array.IndexOf(words, "--config") + 1]);
            Assert.True(JsonElement.DeepEquals(JsonElement.Parse(File.ReadAllText(config)), stage.GetProperty("config")), config);
        }
    }

    [Fact]
    [Trait("Category", "Slow")]
    public void TheCardsRecallsAreWhatTheModelReaches()
    {
        var card = Card.GetProperty("results").EnumerateArray().Single(row => row.GetProperty("model").GetString() == MemoryStudy.Finetuned);
        using var experiment = Experiment.Open(new() { Model = _folder });
        using var pairs = RetrievalAddress.Parse("shapes-long").Open();
        var scores = RetrievalEvaluation.Run(experiment, pairs);

        // Sums are rounded otherwise on another processor.
        Assert.Equal(card.GetProperty("long_image_to_text").GetDouble(), scores.ImageToText.RecallAt1, tolerance: 1);
        Assert.Equal(card.GetProperty("long_text_to_image").GetDouble(), scores.TextToImage.RecallAt1, tolerance: 1);
        Assert.Equal(card.GetProperty("top1").GetDouble(), experiment.Evaluate(EncoderPlan.Plain(experiment.Tower.Blocks.Count))[0].Accuracy, tolerance: 0.5);
    }

    [Fact]
    public void PatchesAreTintedByTheSlotThatTheyReadMost()
    {
        using var clip = LoadedClip.Load(_folder);
        using var images = torch.rand([2, 3, 64, 64]);
        var picture = SlotPicture.Of(clip.Model.Vision, images, block: 2);
        using var slots = Activations.Of(clip.Model.Vision, images, 2, ActivationKind.MemorySlots);
        using var weights = Activations.Of(clip.Model.Vision, images, 2, ActivationKind.MemoryWeights);
        using var best = weights.max(-1).indexes;
        Assert.Equal(0, best.max().item<long>());
        Assert.Equal((int)slots[1, 1 + 10, 0, 0].item<float>(), picture.Slots[1][10]);
        Assert.Equal(2 * 64, picture.MostRead.Sum(slot => slot.Patches));

        // One colour: patches of the slot that most read change, no others do.
        var black = new byte[64 * 64 * 3];
        var drawn = picture.Draw([black, black], 64, colors: 1);
        foreach (var (patch, slot) in picture.Slots[0].Index())
        {
            var pixel = ((patch / 8 * 8 * 64) + (patch % 8 * 8)) * 3;
            Assert.Equal(slot == picture.MostRead[0].Slot, drawn[0].AsSpan(pixel, 3).ContainsAnyExcept((byte)0));
        }

        Assert.Throws<UserException>(() => SlotPicture.Of(clip.Model.Vision, images, block: 3));
    }
}
