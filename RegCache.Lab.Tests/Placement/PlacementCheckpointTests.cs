using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Placement;

namespace RegCache.Lab.Tests.Placement;

/// <summary>Reading and writing of classifiers with late tokens.</summary>
public sealed class PlacementCheckpointTests : IDisposable
{
    // Square, so that shapes tell the input size, and of a published width, so that they tell the heads.
    private static readonly PlacementConfig _published = new()
    {
        ImageSize = (16, 16), PatchSize = (4, 4), Classes = 7, Width = 192, Depth = 2, Heads = 3, Registers = 2, ClassBlock = 1, RegisterBlock = 1,
    };

    private readonly TemporaryFolder _folder = new();
    private readonly DisposeScope _scope = torch.NewDisposeScope();

    public void Dispose()
    {
        _scope.Dispose();
        _folder.Dispose();
    }

    [Theory]
    [InlineData(BlockKind.Plain, 2, null)]
    [InlineData(BlockKind.ParallelLayerScale, 0, 3)]
    public void WhatIsWrittenIsReadAgain(BlockKind kind, int registers, int? distillation)
    {
        var config = DynamicVitTests.Tiny with { Block = kind, Registers = registers, DistillationBlock = distillation, QkScale = 0.5, DropPathRate = 0.1 };
        using var model = DynamicVit.Create(config, seed: 4);
        model.Save(_folder["model"]);
        foreach (var path in new[] { _folder["model"], _folder["model", "model.safetensors"] })
        {
            Assert.True(PlacementCheckpoint.Recognises(path));
            using var loaded = DynamicVit.Load(path);
            Assert.Equal(config, loaded.Config);
            Assert.Equal(model.Weights.Names, loaded.Weights.Names);
            Assert.All(model.Weights.Names, name => GoldenTensors.AssertIdentical(model.Weights[name], loaded.Weights[name]));
        }

        Assert.Equal(config, PlacementConfig.Load(_folder["model", "config.json"]));
        Assert.Equal("model", PlacementCheckpoint.NameOf(_folder["model", "model.safetensors"]));
    }

    [Theory]
    [InlineData("")]
    [InlineData("module.")]
    [InlineData("module.module.")]
    [InlineData("model.module.")]
    public void PrefixesOfPublishedCheckpointsAreStripped(string prefix)
    {
        using var model = DynamicVit.Create(_published, seed: 4);
        var path = Write(model, name => prefix + name);
        var assumptions = new List<string>();
        using var loaded = DynamicVit.Load(path, new() { ClassBlock = 1, Assumptions = assumptions });

        // Nothing tells where the registers enter.
        Assert.Equal(_published with { RegisterBlock = 0 }, loaded.Config);
        Assert.Contains(assumptions, sentence => sentence.Contains("registers are taken to enter before block 0", StringComparison.Ordinal));
        Assert.Contains(assumptions, sentence => sentence.Contains("3 heads", StringComparison.Ordinal));
        Assert.DoesNotContain(assumptions, sentence => sentence.Contains("class token", StringComparison.Ordinal));
    }

    [Fact]
    public void AnEmptyTableOfRegistersIsNone()
    {
        using var model = DynamicVit.Create(_published with { Registers = 0, RegisterBlock = 0 }, seed: 4);
        var path = Write(model, name => name, WeightEntry.FromTensor("register_tokens", torch.zeros(1, 0, 192)));
        using var loaded = DynamicVit.Load(path, new() { ClassBlock = 1 });
        Assert.Equal(model.Config, loaded.Config);
    }

    [Fact]
    public void ModelAndAverageInOneFileAreToldApart()
    {
        using var model = DynamicVit.Create(_published, seed: 4);
        using var average = DynamicVit.Create(_published, seed: 5);
        SafetensorsWriter.Write(
            _folder["both.safetensors"],
            new[] { ("model.", model), ("model_ema.", average) }.SelectMany(part => part.Item2.Weights.Names.Select(name => WeightEntry.FromTensor(part.Item1 + name, part.Item2.Weights[name]))));
        var assumptions = new List<string>();
        using var plain = DynamicVit.Load(_folder["both.safetensors"], new() { Assumptions = assumptions });
        using var chosen = DynamicVit.Load(_folder["both.safetensors"], new() { WeightsKey = "model_ema" });
        GoldenTensors.AssertIdentical(model.Weights["head.weight"], plain.Weights["head.weight"]);
        GoldenTensors.AssertIdentical(average.Weights["head.weight"], chosen.Weights["head.weight"]);
        Assert.Contains(assumptions, sentence => sentence.Contains("--weights-key", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("missing", "1 tensor is missing (norm.bias)")]
    [InlineData("unexpected", "1 tensor is not part of the model (extra)")]
    [InlineData("shape", "1 tensor is of another shape")]
    [InlineData("position", "positions")]
    public void WhatDoesNotFitIsToldByName(string damage, string expected)
    {
        using var model = DynamicVit.Create(_published, seed: 4);
        var entries = model.Weights.Names.Select(name => WeightEntry.FromTensor(name, model.Weights[name])).ToList();
        WeightEntry[] changed = damage switch
        {
            "missing" => [.. entries.Where(entry => entry.Name != "norm.bias")],
            "unexpected" => [.. entries, WeightEntry.FromTensor("extra", torch.zeros(3))],
            "shape" => [.. entries.Select(entry => entry.Name == "norm.bias" ? WeightEntry.FromTensor("norm.bias", torch.zeros(5)) : entry)],
            _ => [.. entries.Select(entry => entry.Name == "pos_embed" ? WeightEntry.FromTensor("pos_embed", torch.zeros(1, 17, 192)) : entry)],
        };
        SafetensorsWriter.Write(_folder["damaged.safetensors"], changed);
        var error = Assert.Throws<UserException>(() => DynamicVit.Load(_folder["damaged.safetensors"]));
        Assert.Contains(damage == "position" ? "a model whose class token has a position is a plain ViT" : expected, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ANewSizeResizesPositionsAndNewClassesDrawAHead()
    {
        using var model = DynamicVit.Create(DynamicVitTests.Tiny, seed: 4);
        model.Save(_folder["model"]);
        using var larger = DynamicVit.Load(_folder["model"], new() { ImageSize = (32, 24), Classes = 3, Seed = 9 });
        Assert.Equal([1, 48, 24], larger.Weights[PlacementParameters.Positions].shape);
        Assert.Equal([3, 24], larger.Weights["head.weight"].shape);
        GoldenTensors.AssertIdentical(model.Weights["norm.weight"], larger.Weights["norm.weight"]);
        Assert.Throws<UserException>(() => DynamicVit.Load(_folder["model"], new() { ImageSize = (30, 24) }));
        Assert.Throws<UserException>(() => DynamicVit.Load(_folder["model"], new() { Registers = 3 }));
        Assert.Throws<UserException>(() => DynamicVit.Load(_folder["model"], new() { ClassBlock = 4 }));
    }

    [Theory]
    [InlineData("""{"architecture": "dynamic_vit", "cls_pos": 12}""", "cls_pos")]
    [InlineData("""{"architecture": "dynamic_vit", "global_pool": "avg"}""", "global_pool")]
    [InlineData("""{"architecture": "dynamic_vit", "block": "odd"}""", "block")]
    [InlineData("""{"architecture": "dynamic_vit", "patch_size": [16]}""", "patch_size")]
    public void WrongConfigurationsAreToldByField(string json, string field)
    {
        File.WriteAllText(_folder["config.json"], json);
        var error = Assert.Throws<UserException>(() => PlacementConfig.Load(_folder["config.json"]));
        Assert.Contains(field, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void PlainClassifiersAreNotTakenForThese()
    {
        using var model = DynamicVit.Create(_published with { Registers = 0, ClassBlock = 0, RegisterBlock = 0 }, seed: 4);
        var path = Write(model, name => name);
        Assert.True(PlacementCheckpoint.Recognises(path));
        SafetensorsWriter.Write(_folder["plain.safetensors"], model.Weights.Names.Select(name => WeightEntry.FromTensor(
            name, name == "pos_embed" ? torch.zeros(1, 17, 192) : model.Weights[name])));
        Assert.False(PlacementCheckpoint.Recognises(_folder["plain.safetensors"]));
    }

    private string Write(DynamicVit model, Func<string, string> rename, params WeightEntry[] further)
    {
        var path = _folder[$"{Guid.NewGuid():n}.safetensors"];
        SafetensorsWriter.Write(path, [.. model.Weights.Names.Select(name => WeightEntry.FromTensor(rename(name), model.Weights[name])), .. further]);
        return path;
    }
}
