using System.Text.Json;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;

namespace RegCache.Lab.Tests.Encoders.Checkpoints;

/// <summary>The loading rules on the golden files: every layout becomes the same OpenCLIP state dict.</summary>
[Trait("Category", "Golden")]
public class StateDictGoldenTests
{
    [Theory]
    [InlineData("state.pt")]
    [InlineData("state_legacy.pt")]
    public void EveryLayoutBecomesTheSameStateDict(string name)
    {
        using var file = WeightFile.Open(Goldens.Path("clip", "pt", name));
        using var expected = WeightFile.Open(Goldens.Path("clip", "pt", "expected_state.safetensors"));

        EntryAssert.Equal(expected.Tensors, StateDictLoader.Load(file).Tensors);
    }

    [Fact]
    public void TrainingCheckpointIsUnwrapped()
    {
        using var file = WeightFile.Open(Goldens.Path("clip", "pt", "train_checkpoint.pt"));
        using var expected = WeightFile.Open(Goldens.Path("clip", "pt", "expected_train_checkpoint.safetensors"));

        EntryAssert.Equal(TrainedState(expected), StateDictLoader.Load(file).Tensors);
    }

    [Fact]
    public void HuggingFaceNamesAreConverted()
    {
        using var file = WeightFile.Open(Goldens.Path("clip", "pt", "hf_clip_model.safetensors"));
        using var before = WeightFile.Open(Goldens.Path("clip", "pt", "expected_state.safetensors"));
        using var after = WeightFile.Open(Goldens.Path("clip", "pt", "expected_train_checkpoint.safetensors"));
        var state = StateDictLoader.Load(file);

        // The published set holds the model as the training step left it, the description says as it was before.
        var isTrained = !EntryAssert.Bytes(state["logit_scale"]).SequenceEqual(EntryAssert.Bytes(before["logit_scale"]));
        EntryAssert.Equal(isTrained ? TrainedState(after) : before.Tensors, state.Tensors);
    }

    [Fact]
    public void TorchScriptLosesItsBuffers()
    {
        string[] buffers = ["input_resolution", "context_length", "vocab_size"];
        using var file = WeightFile.Open(Goldens.Path("clip", "pt", "torchscript.pt"));
        using var expected = WeightFile.Open(Goldens.Path("clip", "pt", "expected_torchscript.safetensors"));

        EntryAssert.Equal(expected.Tensors.Where(entry => !buffers.Contains(entry.Name)), StateDictLoader.Load(file).Tensors);
    }

    [Fact]
    public void HuggingFaceNamesAreMadeBack()
    {
        using var file = WeightFile.Open(Goldens.Path("clip", "pt", "hf_clip_model.safetensors"));
        var wanted = file.Tensors.Where(entry => !entry.Name.EndsWith("position_ids", StringComparison.Ordinal));

        EntryAssert.Equal(wanted, HuggingFaceState.FromOpenClip(StateDictLoader.Load(file)));
    }

    [Fact]
    public void ConfigurationsOfBothKindsAgreeAndFitTheWeights()
    {
        using var file = WeightFile.Open(Goldens.Path("clip", "pt", "expected_state.safetensors"));
        using var json = JsonDocument.Parse(file.Metadata[ClipConfigJson.MetadataKey]);
        var openClip = ClipConfigJson.Parse(json.RootElement, "metadata");
        var huggingFace = ClipConfigJson.Load(Goldens.Path("clip", "pt", "hf_config.json"));
        var state = StateDictLoader.Fit(StateDictLoader.Load(file), openClip);

        Assert.Equal(openClip, huggingFace with { InitLogitScale = openClip.InitLogitScale });
        Assert.True(ClipParameters.Compare(state, openClip).IsEmpty);
        Assert.Equal(openClip, ClipConfigJson.Parse(ClipConfigJson.FromMetadata(file)!.Value.Json, "metadata"));
    }

    [Fact]
    public void FeaturesOfTheStateDictAreThoseOfUpstream()
    {
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        var expected = GoldenTensors.Load("clip", "pt", "expected_forward.safetensors");
        var config = ClipConfigJson.Load(Goldens.Path("clip", "pt", "hf_config.json"));
        using var file = WeightFile.Open(Goldens.Path("clip", "pt", "state.pt"));
        using var model = new ClipModel(config, StateDictLoader.Fit(StateDictLoader.Load(file), config).ToWeightTable());

        GoldenTensors.AssertClose(expected["image_features"], model.Vision.Encode(expected["image"]), 1e-5);
        GoldenTensors.AssertClose(expected["text_features"], model.Text!.Encode(expected["text"]), 1e-5);
    }

    [Fact]
    public void ParametersAreThoseOfUpstreamInItsOrder()
    {
        using var golden = JsonDocument.Parse(File.ReadAllBytes(Goldens.Path("clip", "param_groups.json")));
        var expected = golden.RootElement.GetProperty("state_dict_shapes").EnumerateObject().ToList();
        var config = ClipConfigJson.Load(Goldens.Path("clip", "tiny_clip_config.json"));
        var parameters = ClipParameters.Of(config);

        Assert.Equal(expected.Select(item => item.Name), parameters.Select(parameter => parameter.Name));
        Assert.All(expected.Zip(parameters), pair =>
            Assert.Equal(pair.First.Value.EnumerateArray().Select(size => size.GetInt64()), pair.Second.Shape));
    }

    [Fact]
    public void PositionTablesAreResizedAsUpstream()
    {
        using var file = WeightFile.Open(Goldens.Path("clip", "pos_embed.safetensors"));
        var cases = 0;
        foreach (var input in file.Tensors.Where(entry => entry.Name.EndsWith(".in", StringComparison.Ordinal)))
        {
            var name = input.Name[..^".in".Length];
            var (values, width) = (input.ToSingles(), (int)input.Shape[1]);
            var expected = file[name + ".out"];
            var resized = file.Contains(name + ".grid")
                ? PositionEmbeddings.ResizeVision(values, width, Grid(file[name + ".grid"], 0), Grid(file[name + ".grid"], 2))
                : PositionEmbeddings.ResizeText(values, width, (int)expected.Shape[0]);
            Assert.All(expected.ToSingles().Zip(resized), pair => Assert.Equal(pair.First, pair.Second, 2e-5f));
            Assert.Equal(expected.ElementCount, resized.Length);
            cases++;
        }

        Assert.True(cases > 0);
    }

    private static IEnumerable<WeightEntry> TrainedState(WeightFile expected)
    {
        const string Prefix = "state.";
        return expected.Tensors
            .Where(entry => entry.Name.StartsWith(Prefix, StringComparison.Ordinal))
            .Select(entry => entry.Rename(entry.Name[Prefix.Length..]));
    }

    private static (int Height, int Width) Grid(WeightEntry grid, int at)
    {
        var sizes = grid.ToArray<long>();
        return ((int)sizes[at], (int)sizes[at + 1]);
    }
}
