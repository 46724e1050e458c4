using RegCache.Lab.Encoders;
using RegCache.Lab.Pooling;

namespace RegCache.Lab.Tests.Pooling;

[Trait("Category", "Golden")]
public sealed class RelativeAttentionGoldenTests
{
    private static readonly PoolingGolden _golden = new("rel_attention");

    [Fact]
    public void TheTableOfDistances()
    {
        var table = RelativeScores.Table(RelativeScores.Frequencies(_golden.Integer("d_model")), _golden["in.w"].shape[0], RelativeDirection.Causal);
        _golden.AssertClose("out.pos_emb", table, PoolingGolden.Values);
    }

    [Fact]
    public void TheLegacyShiftIsUpstreamsToTheBit() => _golden.AssertSame("relshift.out", RelativeScores.LegacyShift(_golden["relshift.in"]));

    [Theory]
    [InlineData("causal", RelativeDirection.Causal)]
    [InlineData("bidir", RelativeDirection.LegacyRelShift)]
    [InlineData("padded", RelativeDirection.LegacyRelShift)]
    [InlineData("symmetric", RelativeDirection.Bidirectional)]
    public void AttentionAndLayer(string name, RelativeDirection direction)
    {
        var weights = _golden.Weights();
        var (input, content, position) = (_golden.Leaf("in.w"), _golden.Leaf("in.r_w_bias"), _golden.Leaf("in.r_r_bias"));
        var layer = RelativeLayer.From(
            weights, "", _golden.Integer("d_model"), _golden.Integer("n_head"), _golden.Integer("d_head"), _golden.Integer("d_inner"));
        var context = RelativeContext.Of(
            RelativeScores.Frequencies(_golden.Integer("d_model")), content, position, input.shape[0], direction, name == "padded" ? _golden["in.pad"] : null);
        _golden.AssertClose($"{name}.attn", layer.Attention.Apply(input, context), PoolingGolden.Values);
        var output = layer.Apply(input, context);
        if (_golden.Has($"{name}.layer"))
        {
            _golden.AssertClose($"{name}.layer", output, PoolingGolden.Values);
        }

        if (_golden.Has($"{name}.g.w"))
        {
            (output * _golden["in.R"]).sum().backward();
            _golden.AssertGradient($"{name}.g.w", input);
            _golden.AssertGradient($"{name}.g.r_w_bias", content);
            _golden.AssertGradient($"{name}.g.r_r_bias", position);
            Assert.All(weights.Parameters, pair => _golden.AssertGradient($"{name}.g.{pair.Key}", pair.Value));
        }
    }

    [Fact]
    public void ATensorOfTheLayerThatIsMissingIsNamed()
    {
        var weights = new WeightTable("a file", []);
        Assert.Contains("layers.0.0.dec_attn.qkv_net.weight", Assert.Throws<UserException>(() => RelativeLayer.From(weights, "layers.0.0.", 12, 3, 4, 18)).Message, StringComparison.Ordinal);
    }
}
