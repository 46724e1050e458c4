using System.Text.RegularExpressions;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Ptq4Vit;
using TorchSharp;

namespace RegCache.Lab.Tests.Quantization;

[Trait("Category", "Golden")]
public sealed partial class Ptq4VitLayerGoldenTests
{
    // Where best and second best are closer than this, rounding decides between them.
    private const double DecisiveGap = 1e-4;
    private const double OutputTolerance = 1e-5;
    private const long Memory = 1 << 20;

    private static readonly Dictionary<string, torch.Tensor> _golden = GoldenTensors.Load("quantizers", "ptq4vit_layers.safetensors");
    private static readonly GoldenReadme _readme = new("quantizers");

    [Fact]
    public void LinearLayersFindTheSameScales()
    {
        foreach (var (name, match) in Cases(LinearCase()))
        {
            using var scope = torch.NewDisposeScope();
            var options = Options(match);
            var postGelu = match.Groups["kind"].Value == "gelu";
            var product = LinearProduct(postGelu, options);
            var groups = (int)_golden[$"{name}.w_interval"].shape[0];
            var found = new LayerSearch(options, Memory).Linear(product, groups, postGelu, name);
            var expectedWeights = Integers($"{name}.w_index");
            var expectedInput = Integers($"{name}.a_index")[0];
            if (_golden[$"{name}.min_gap"].item<float>() > DecisiveGap)
            {
                Assert.Equal(expectedWeights, found.RightIndices.Select(index => (long)index));
                Assert.Equal(expectedInput, found.LeftIndex);
                GoldenTensors.AssertClose(_golden[$"{name}.w_interval"], torch.tensor(found.RightScales), 0, 1e-6);
                AssertInput(_golden[$"{name}.a_interval"].item<float>(), found.Left);
                continue;
            }

            // Any choice is right whose error is as small.
            var weightScales = found.RightScales;
            var ours = Error(product, found.Left, weightScales, options);
            var theirs = Error(product, InputQuantizer(name, options, postGelu), Floats($"{name}.w_interval"), options);
            Assert.InRange(ours, 0, theirs * (1 + (2 * options.Rounds * DecisiveGap)));
        }
    }

    [Fact]
    public void LinearLayersGiveTheSameOutputs()
    {
        foreach (var (name, match) in Cases(LinearCase()))
        {
            using var scope = torch.NewDisposeScope();
            var options = Options(match);
            var postGelu = match.Groups["kind"].Value == "gelu";
            var input = InputQuantizer(name, options, postGelu);
            if (postGelu)
            {
                var negative = ((PostGeluQuantizer)input).NegativeScale;
                Assert.Equal(_golden[$"{name}.a_neg_interval"].item<float>(), negative, negative * 1e-6);
            }

            var weight = _golden[postGelu ? "in.w_gelu" : "in.w"];
            var quantizedInput = input.FakeQuantize(_golden[postGelu ? "in.gelu_test" : "in.x_test"]);
            var quantizedWeight = RowGrid(Floats($"{name}.w_interval"), weight, options.Bits.Weights).FakeQuantize(weight);
            AssertNear(_golden[$"{name}.x_test_dq"], quantizedInput, name);
            AssertNear(_golden[$"{name}.w_dq"], quantizedWeight, name);
            AssertNear(
                _golden[$"{name}.y_test"], torch.nn.functional.linear(quantizedInput, quantizedWeight, _golden["in.b"]), name);
        }
    }

    [Fact]
    public void AttentionProductsFindTheSameScales()
    {
        foreach (var (name, match) in Cases(MatmulCase()))
        {
            using var scope = torch.NewDisposeScope();
            var options = Options(match);
            var search = new LayerSearch(options, Memory);
            var product = Matmul(match, options);
            ITensorQuantizer? left = null;
            if (match.Groups["kind"].Value == "av_twin")
            {
                var twin = search.Split(product.AllHeads(), SoftmaxTwin.Released, name);
                Assert.Equal(_golden[$"{name}.split"].item<float>(), twin.Split);
                Assert.Equal(_golden[$"{name}.A_interval"].item<float>(), twin.FineScale, twin.FineScale * 1e-6);
                left = twin;
            }

            var heads = Enumerable.Range(0, (int)product.Left.shape[1])
                .Select(head => search.Head(product.Head(head), default, left, name)).ToArray();
            if (_golden[$"{name}.min_gap"].item<float>() > DecisiveGap)
            {
                Assert.Equal(Integers($"{name}.B_index"), heads.Select(head => (long)head.RightIndex));
                GoldenTensors.AssertClose(
                    _golden[$"{name}.B_interval"], torch.tensor(heads.Select(head => head.RightScale).ToArray()), 0, 1e-6);
                if (left is null)
                {
                    Assert.Equal(Integers($"{name}.A_index"), heads.Select(head => (long)head.LeftIndex));
                    GoldenTensors.AssertClose(
                        _golden[$"{name}.A_interval"], torch.tensor(heads.Select(head => head.LeftScale).ToArray()), 0, 1e-6);
                }

                continue;
            }

            for (var head = 0; head < heads.Length; head++)
            {
                var part = product.Head(head);
                ITensorQuantizer Left(float scale) => left ?? SearchRange.Grid([scale], options.Bits.Activations, torch.CPU);
                var ours = Error(part, Left(heads[head].LeftScale), [heads[head].RightScale], options);
                var theirs = Error(
                    part, Left(left is null ? Floats($"{name}.A_interval")[head] : 0), [Floats($"{name}.B_interval")[head]], options);
                Assert.InRange(ours, 0, theirs * (1 + (2 * options.Rounds * DecisiveGap)));
            }
        }
    }

    [Fact]
    public void AttentionProductsGiveTheSameOutputs()
    {
        foreach (var (name, match) in Cases(MatmulCase()))
        {
            using var scope = torch.NewDisposeScope();
            var options = Options(match);
            var isQueryKey = match.Groups["kind"].Value == "qk";
            var (left, right) = isQueryKey ? ("in.q", "in.k") : ("in.attn", "in.v");
            var bits = options.Bits.Activations;
            UniformQuantizer PerHead(string key) => SearchRange.Grid(Floats(key), bits, torch.CPU, _golden[key].NumberOfElements, 1, 1);
            ITensorQuantizer leftQuantizer = match.Groups["kind"].Value == "av_twin"
                ? new SoftmaxTwinQuantizer(_golden[$"{name}.split"].item<float>(), bits, SoftmaxTwin.Released)
                : PerHead($"{name}.A_interval");
            var a = leftQuantizer.FakeQuantize(_golden[left]);
            var b = PerHead($"{name}.B_interval").FakeQuantize(_golden[right]);
            b = isQueryKey ? b.transpose(-2, -1) : b;
            AssertNear(_golden[$"{name}.A_dq"], a, name);
            AssertNear(_golden[$"{name}.B_dq"], b, name);
            AssertNear(_golden[$"{name}.y"], a.matmul(b), name);
        }
    }

    [Fact]
    public void PatchEmbeddingFindsTheSameScales()
    {
        foreach (var (name, match) in Cases(ConvolutionCase()))
        {
            using var scope = torch.NewDisposeScope();
            var options = Options("hessian", new(int.Parse(match.Groups["w"].ValueSpan), 8));
            var (images, weight) = (_golden["in.image"], _golden["in.conv_w"]);
            var patch = weight.shape[^1];
            torch.Tensor Rows(torch.Tensor maps) => maps.flatten(2).transpose(1, 2).contiguous();
            var product = new RecordedProduct(
                torch.nn.functional.unfold(images, (patch, patch), stride: (patch, patch)).transpose(1, 2).contiguous(),
                weight.flatten(1).unsqueeze(0),
                null,
                Rows(torch.nn.functional.conv2d(images, weight, strides: [patch, patch])),
                Rows(_golden["in.grad_conv"]));
            var (indices, scales) = new LayerSearch(options, Memory).Patches(product, name);
            var expected = Integers($"{name}.w_index");
            foreach (var row in Enumerable.Range(0, expected.Length).Where(row => expected[row] != indices[row]))
            {
                // Each output channel is searched alone; any choice is right whose error is as small.
                double ErrorWith(float scale) => Error(product.Columns(row, 1), new Exact(), [scale], options);
                Assert.InRange(ErrorWith(scales[row]), 0, ErrorWith(Floats($"{name}.w_interval")[row]) * (1 + (2 * options.Rounds * DecisiveGap)));
                scales[row] = Floats($"{name}.w_interval")[row];
            }

            GoldenTensors.AssertClose(_golden[$"{name}.w_interval"], torch.tensor(scales), 0, 1e-6);
            var grid = SearchRange.Grid(Floats($"{name}.w_interval"), options.Bits.Weights, torch.CPU, scales.Length, 1, 1, 1);
            var embedding = new CalibratedPatches(null, grid).Apply(new RegCache.Lab.Encoders.PatchEmbedding(weight));
            AssertNear(_golden[$"{name}.y"], embedding.Apply(images), name);
        }
    }

    private static RecordedProduct LinearProduct(bool postGelu, Ptq4VitOptions options)
    {
        var (input, weight) = (_golden[postGelu ? "in.gelu" : "in.x"], _golden[postGelu ? "in.w_gelu" : "in.w"]);
        return new(
            input,
            weight.unsqueeze(0),
            _golden["in.b"],
            torch.nn.functional.linear(input, weight, _golden["in.b"]),
            options.Metric == OutputMetric.Hessian ? _golden["in.grad"] : null);
    }

    private static RecordedProduct Matmul(Match match, Ptq4VitOptions options)
    {
        var isQueryKey = match.Groups["kind"].Value == "qk";
        var (left, right) = isQueryKey
            ? (_golden["in.q"], _golden["in.k"])
            : (_golden["in.attn"], _golden["in.v"].transpose(-2, -1).contiguous());
        return new(
            left,
            right,
            null,
            left.matmul(right.transpose(-2, -1)),
            options.Metric == OutputMetric.Hessian ? _golden[isQueryKey ? "in.grad_qk" : "in.grad_av"] : null);
    }

    // The objective in float64, written plainly.
    private static double Error(RecordedProduct product, ITensorQuantizer left, float[] rightScales, Ptq4VitOptions options)
    {
        using var scope = torch.NewDisposeScope();
        torch.Tensor Double(torch.Tensor tensor) => tensor.to(torch.ScalarType.Float64);
        var rows = product.Right.shape[1];
        var bits = product.RightIsShared ? options.Bits.Weights : options.Bits.Activations;
        float[] scales = [.. Enumerable.Range(0, (int)rows).Select(row => rightScales[row * rightScales.Length / rows])];
        var right = Double(SearchRange.Grid(scales, bits, torch.CPU, rows, 1).FakeQuantize(product.Right));
        var output = Double(left.FakeQuantize(product.Left)).matmul(right.transpose(-2, -1));
        output = product.Bias is { } bias ? output + Double(bias) : output;
        var wanted = Double(product.Output);
        var error = product.Gradient is { } gradient
            ? ((wanted - output) * Double(gradient)).square().sum()
            : (1 - torch.nn.functional.cosine_similarity(wanted, output, -1)).sum();
        return error.item<double>();
    }

    private static ITensorQuantizer InputQuantizer(string name, Ptq4VitOptions options, bool postGelu)
    {
        var scale = _golden[$"{name}.a_interval"].item<float>();
        return postGelu
            ? new PostGeluQuantizer(scale, options.Bits.Activations)
            : SearchRange.Grid([scale], options.Bits.Activations, torch.CPU);
    }

    private static UniformQuantizer RowGrid(float[] groups, torch.Tensor weight, int bits)
    {
        var rows = weight.shape[0];
        return SearchRange.Grid(
            [.. Enumerable.Range(0, (int)rows).Select(row => groups[row * groups.Length / rows])], bits, torch.CPU, rows, 1);
    }

    private static void AssertInput(float expected, ITensorQuantizer found)
    {
        var scale = found is PostGeluQuantizer twin ? twin.Scale : ((UniformQuantizer)found).Scale.item<float>();
        Assert.Equal(expected, scale, expected * 1e-6);
    }

    private static void AssertNear(torch.Tensor expected, torch.Tensor actual, string name)
    {
        Assert.Equal(expected.shape, actual.shape);
        Assert.True((actual - expected).norm().item<float>() <= OutputTolerance * expected.norm().item<float>(), name);
    }

    private static Ptq4VitOptions Options(Match match) => Options(
        match.Groups["metric"].Value, new(int.Parse(match.Groups["w"].ValueSpan), int.Parse(match.Groups["a"].ValueSpan)));

    private static Ptq4VitOptions Options(string metric, QuantizationBits bits)
    {
        var (options, pattern) = metric switch
        {
            "hessian" => (new Ptq4VitOptions(bits), HessianConfig()),
            "cosine" => (Ptq4VitOptions.BasePtq(bits), CosineConfig()),
            _ => throw new InvalidDataException($"There is no metric {metric}."),
        };
        var numbers = _readme.Numbers(pattern);
        return options with { Range = new(numbers[0], numbers[1], (int)numbers[2]), Rounds = (int)numbers[3] };
    }

    private static long[] Integers(string key) => _golden[key].data<long>().ToArray();

    private static float[] Floats(string key) => _golden[key].data<float>().ToArray();

    private static List<(string Name, Match Match)> Cases(Regex pattern)
    {
        var cases = _golden.Keys.Select(key => pattern.Match(key)).Where(match => match.Success)
            .Select(match => (match.Groups["name"].Value, match)).ToList();
        Assert.NotEmpty(cases);
        return cases;
    }

    [GeneratedRegex(@"^(?<name>(?<kind>linear\w*|gelu)\.(?<metric>\w+)\.w(?<w>\d+)a(?<a>\d+))\.min_gap$")]
    private static partial Regex LinearCase();

    [GeneratedRegex(@"^(?<name>(?<kind>qk|av_plain|av_twin)\.(?<metric>\w+)\.w(?<w>\d+)a(?<a>\d+))\.min_gap$")]
    private static partial Regex MatmulCase();

    [GeneratedRegex(@"^(?<name>conv\.hessian\.w(?<w>\d+))\.w_index$")]
    private static partial Regex ConvolutionCase();

    // Config "hessian": eq_alpha 0.01, eq_beta 1.2, eq_n 100, 3 rounds. "cosine": 0.5, 1.2, 100, 1 round.
    [GeneratedRegex(@"""hessian"":\s+(?:eq_alpha )?([\d.]+),\s+(?:eq_beta )?([\d.]+),\s+(?:eq_n )?(\d+),\s+(\d+) round")]
    private static partial Regex HessianConfig();

    [GeneratedRegex(@"""cosine"":\s+(?:eq_alpha )?([\d.]+),\s+(?:eq_beta )?([\d.]+),\s+(?:eq_n )?(\d+),\s+(\d+) round")]
    private static partial Regex CosineConfig();

    /// <summary>The patches are not quantized.</summary>
    private sealed class Exact : ITensorQuantizer
    {
        public torch.Tensor FakeQuantize(torch.Tensor values) => values;
    }
}
