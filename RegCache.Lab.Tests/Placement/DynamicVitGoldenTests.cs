using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Placement;

namespace RegCache.Lab.Tests.Placement;

/// <summary>Compares classifiers with reference values of the published code.</summary>
[Trait("Category", "Golden")]
public sealed class DynamicVitGoldenTests : IDisposable
{
    private const double Tolerance = 1e-4, TokenTolerance = 2e-4, MapTolerance = 1e-5;

    private readonly PlacementGoldens _golden = new("model");
    private readonly DisposeScope _scope = torch.NewDisposeScope();

    public static TheoryData<string> Configs => [.. PlacementGoldens.Names("model")];

    private Tensor Input => _golden.Tensors["input"];

    public void Dispose()
    {
        _golden.Dispose();
        _scope.Dispose();
    }

    [Theory]
    [MemberData(nameof(Configs))]
    public void ScoresAndFeaturesAgree(string name)
    {
        using var model = _golden.Model(_golden.Config(name));
        using var noGradient = torch.no_grad();
        GoldenTensors.AssertClose(Expected(name, "logits"), model.Forward(Input).Logits, Tolerance);
        var (features, registers) = model.Features(Input);
        GoldenTensors.AssertClose(Expected(name, "cls_feature"), features, Tolerance);
        Assert.Equal(model.Config.Registers, registers.shape[1]);
        if (model.Config.Registers > 0)
        {
            GoldenTensors.AssertClose(Expected(name, "register_features"), registers, Tolerance);
        }
    }

    [Theory]
    [MemberData(nameof(Configs))]
    public void AttentionMapsAgreeInEveryLayer(string name)
    {
        using var model = _golden.Model(_golden.Config(name));
        for (var layer = 0; layer < model.Config.Depth; layer++)
        {
            var layout = model.Tower.LayoutIn(layer);
            Assert.Equal(layout.ClassTokens > 0, _golden.Tensors.ContainsKey($"{name}/layer{layer}/cls_map"));
            Assert.Equal(layout.RegisterTokens > 0, _golden.Tensors.ContainsKey($"{name}/layer{layer}/reg_maps"));
            if (layout.ProtectedTokens == 0)
            {
                continue;
            }

            var attention = Activations.Of(model.Tower, Input, layer, ActivationKind.AttentionProbabilities);
            var patches = attention.narrow(3, layout.ProtectedTokens, model.Config.Patches);
            if (layout.ClassTokens > 0)
            {
                GoldenTensors.AssertClose(Expected(name, $"layer{layer}/cls_map"), patches.select(2, 0), MapTolerance);
            }

            if (layout.RegisterTokens > 0)
            {
                var maps = patches.narrow(2, layout.ClassTokens, layout.RegisterTokens).transpose(1, 2);
                GoldenTensors.AssertClose(Expected(name, $"layer{layer}/reg_maps"), maps, MapTolerance);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Configs))]
    public void SkippingBlocksBelowTheLayerWouldNotAgree(string name)
    {
        if (!_golden.Tensors.TryGetValue($"{name}/quirk_upstream_skipped_blocks/layer3_cls_map", out var skipped))
        {
            return;
        }

        using var difference = (skipped - Expected(name, "layer3/cls_map")).abs().max();
        Assert.True(difference.item<float>() > 100 * MapTolerance);
    }

    [Theory]
    [MemberData(nameof(Configs))]
    public void TokensLeaveEveryBlockAsInTheReference(string name)
    {
        using var model = _golden.Model(_golden.Config(name));
        for (var layer = 0; layer < model.Config.Depth; layer++)
        {
            if (_golden.Tensors.TryGetValue($"{name}/layer{layer}/tokens_out_image0", out var tokens))
            {
                using var noGradient = torch.no_grad();
                var stream = model.Tower.Forward(Input.narrow(0, 0, 1), layer + 1);
                GoldenTensors.AssertClose(tokens, RegistersLast(stream.Tokens, stream.Layout, 1), TokenTolerance);
            }

            if (_golden.Tensors.TryGetValue($"{name}/layer{layer}/attention_image0", out var whole))
            {
                var attention = Activations.Of(model.Tower, Input.narrow(0, 0, 1), layer, ActivationKind.AttentionProbabilities);
                var layout = model.Tower.LayoutIn(layer);
                GoldenTensors.AssertClose(whole, RegistersLast(RegistersLast(attention, layout, 2), layout, 3), MapTolerance);
            }
        }
    }

    // The published code keeps registers at the end; the kit keeps them in front of the patches.
    private static Tensor RegistersLast(Tensor tokens, TokenLayout layout, long axis)
    {
        var (classes, registers) = (layout.ClassTokens, layout.RegisterTokens);
        var patches = tokens.shape[axis] - classes - registers;
        return torch.cat(
            [tokens.narrow(axis, 0, classes), tokens.narrow(axis, classes + registers, patches), tokens.narrow(axis, classes, registers)], axis);
    }

    private Tensor Expected(string name, string what) => _golden.Tensors[$"{name}/{what}"];
}
