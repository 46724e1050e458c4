using System.Globalization;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Placement;
using RegCache.Lab.Quantization.Integer;

namespace RegCache.Lab.Tests.Placement;

/// <summary>Compares kinds of blocks, distilled models, gradients and resized positions with reference values.</summary>
[Trait("Category", "Golden")]
public sealed class VariantGoldenTests : IDisposable
{
    private const double Tolerance = 1e-4, PositionTolerance = 1e-5;

    private readonly PlacementGoldens _golden = new("variants");
    private readonly DisposeScope _scope = torch.NewDisposeScope();

    private Tensor Input => _golden.Tensors["input"];

    // The README of the goldens says what the file does not: norms and biases of each variant.
    private PlacementConfig Deit => _golden.Shared() with { Epsilon = 1e-6, QkvBias = true, Registers = 0 };

    private PlacementConfig Late => _golden.Shared() with { Epsilon = 1e-5, QkvBias = false, Registers = 2, ClassBlock = 1, RegisterBlock = 0 };

    public void Dispose()
    {
        _golden.Dispose();
        _scope.Dispose();
    }

    [Theory]
    [InlineData(BlockKind.LayerScale, "layerscale")]
    [InlineData(BlockKind.Parallel, "parallel")]
    [InlineData(BlockKind.ParallelLayerScale, "parallel_layerscale")]
    public void KindsOfBlocksAgree(BlockKind kind, string variant)
    {
        var config = kind switch
        {
            BlockKind.LayerScale => Deit,
            BlockKind.Parallel => Late,
            _ => Late with { Epsilon = Deit.Epsilon, QkvBias = true },
        };
        foreach (var backend in new IBackend?[] { null, new OneDnnBackend(ExecutionMode.Simulated) })
        {
            using var model = _golden.Model(config with { Block = kind }, $"{variant}/weights/", backend);
            using var noGradient = torch.no_grad();
            GoldenTensors.AssertClose(_golden.Tensors[$"{variant}/logits"], model.Forward(Input).Logits, Tolerance);
        }
    }

    [Fact]
    public void DeitsDistilledModelAgrees()
    {
        using var model = _golden.Model(Deit with { DeitDistilled = true }, "deit_distilled/weights/");
        AssertPair(model, "deit_distilled");
    }

    [Theory]
    [InlineData("cls0_reg1_n1_dist0")]
    [InlineData("cls1_reg0_n2_dist1")]
    public void LateDistillationTokensAgree(string name)
    {
        int Number(string part) => int.Parse(name.Split('_').Single(word => word.StartsWith(part, StringComparison.Ordinal))[part.Length..], CultureInfo.InvariantCulture);
        var config = Late with { ClassBlock = Number("cls"), RegisterBlock = Number("reg"), Registers = Number("n"), DistillationBlock = Number("dist") };
        using var model = _golden.Model(config, "dynamic_distilled/weights/");
        AssertPair(model, $"dynamic_distilled/{name}");
    }

    [Fact]
    public void GradientsAgree()
    {
        using var training = new PlacementGoldens("training");
        using var golden = new PlacementGoldens("model");
        var name = golden.Tensors.Keys.First(key => key.EndsWith("/tokens_out_image0", StringComparison.Ordinal)).Split('/')[0];
        using var model = golden.Model(golden.Config(name));
        foreach (var (_, parameter) in model.Weights.Parameters)
        {
            parameter.requires_grad = true;
        }

        var loss = torch.nn.functional.cross_entropy(model.Forward(golden.Tensors["input"]).Logits, training.Tensors["grad/labels"]);
        loss.backward();
        GoldenTensors.AssertClose(training.Tensors["grad/loss"], loss.detach().view(1), 1e-5);
        var names = training.Setting<string[]>("grad_norm_names");
        var norms = training.Tensors["grad/all_norms"].data<float>().ToArray();
        Assert.Equal(model.Weights.Names.Order(), names.Order());
        foreach (var (parameter, norm) in names.Zip(norms))
        {
            var gradient = model.Weights[parameter].grad!;
            Assert.InRange(gradient.norm().item<float>(), norm * (1 - Tolerance), norm * (1 + Tolerance));
            if (training.Tensors.TryGetValue($"grad/{parameter}", out var expected))
            {
                GoldenTensors.AssertClose(expected, gradient, Tolerance * norm);
            }
        }
    }

    [Fact]
    public void PositionsAreResizedAsInTheReference()
    {
        using var training = new PlacementGoldens("training");
        var table = training.Tensors["pos/in_4x4"];
        GoldenTensors.AssertClose(training.Tensors["pos/out_6x6"], PlacementCheckpoint.Resize(table, 0, (4, 4), (6, 6)), PositionTolerance);
        GoldenTensors.AssertClose(training.Tensors["pos/out_7x7"], PlacementCheckpoint.Resize(table, 0, (4, 4), (7, 7)), PositionTolerance);
    }

    [Fact]
    public void ParameterCountsAgree()
    {
        using var training = new PlacementGoldens("training");
        var counts = training.Setting<Dictionary<string, long>>("param_counts");
        Assert.NotEmpty(counts);
        foreach (var (name, expected) in counts)
        {
            var parts = name.Split("_reg");
            var config = PlacementConfig.Preset(parts[0]) with { Registers = int.Parse(parts[1], CultureInfo.InvariantCulture) };
            Assert.Equal(expected, PlacementParameters.Count(config));
        }
    }

    private void AssertPair(DynamicVit model, string name)
    {
        using var noGradient = torch.no_grad();
        var training = model.Forward(Input, CounterRandom.Of(0, 0, 0));
        GoldenTensors.AssertClose(_golden.Tensors[$"{name}/logits_cls"], training.Logits, Tolerance);
        GoldenTensors.AssertClose(_golden.Tensors[$"{name}/logits_dist"], training.Distillation!, Tolerance);
        GoldenTensors.AssertClose(_golden.Tensors[$"{name}/logits_eval"], model.Forward(Input).Logits, Tolerance);
    }
}
