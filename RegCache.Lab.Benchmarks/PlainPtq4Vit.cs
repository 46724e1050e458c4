using RegCache.Lab.Quantization.Ptq4Vit;
using TorchSharp;
using Tensor = TorchSharp.torch.Tensor;

namespace RegCache.Lab.Benchmarks;

/// <summary>PTQ4ViT's searches written plainly with tensor operators: every candidate after the other, every round to its end.</summary>
internal sealed class PlainPtq4Vit(Ptq4VitOptions options)
{
    private int Half => 1 << (options.Bits.Activations - 1);

    /// <summary>A linear layer.</summary>
    /// <returns>The candidates of the row groups of the weights, then that of the input.</returns>
    public int[] Linear(RecordedProduct product, int rowGroups, bool postGelu)
    {
        using var scope = torch.NewDisposeScope();
        var weight = product.Right[0];
        var rows = (int)weight.shape[0] / rowGroups;
        float[] initialWeights = [.. Enumerable.Range(0, rowGroups).Select(group => Initial(weight.narrow(0, group * rows, rows).abs()))];
        var initialInput = Initial(postGelu ? product.Left : product.Left.abs());
        Tensor Input(float scale) => postGelu ? Twin(product.Left, scale) : Quantize(product.Left, scale);
        Tensor Weight(Func<int, float> scale) => torch.cat(
            [.. initialWeights.Select((_, group) => Quantize(weight.narrow(0, group * rows, rows), scale(group)))], 0);

        var (weights, input, inputScale) = (new int[rowGroups], 0, initialInput);
        for (var round = 0; round < options.Rounds; round++)
        {
            using var lifetime = torch.NewDisposeScope();
            var left = Input(inputScale);
            // All groups share a candidate's product; each takes its own best.
            weights = BestOfEach(rowGroups, candidate =>
            {
                var output = torch.nn.functional.linear(left, Weight(group => options.Range.Scale(initialWeights[group], candidate)), product.Bias);
                return Weighted(product, output).view(product.Images, -1, rowGroups, rows).mean([3]).mean([1]).sum([0]);
            });
            var right = Weight(group => options.Range.Scale(initialWeights[group], weights[group]));
            input = BestOfEach(1, candidate =>
            {
                var output = torch.nn.functional.linear(Input(options.Range.Scale(initialInput, candidate)), right, product.Bias);
                return Weighted(product, output).mean([2]).mean([1]).sum(0, keepdim: true);
            })[0];
            inputScale = options.Range.Scale(initialInput, input);
        }

        return [.. weights, input];
    }

    /// <summary>Queries and keys, all heads together; each head takes its own best.</summary>
    /// <returns>The candidates of the queries, then those of the keys.</returns>
    public int[] Heads(RecordedProduct product)
    {
        using var scope = torch.NewDisposeScope();
        var (initialLeft, initialRight) = (HeadScales(product.Left), HeadScales(product.Right));
        var (lefts, rights, rightScales) = (Array.Empty<int>(), Array.Empty<int>(), initialRight);
        for (var round = 0; round < options.Rounds; round++)
        {
            using var lifetime = torch.NewDisposeScope();
            var right = Quantize(product.Right, rightScales);
            lefts = BestOfEach(Count(initialLeft), candidate => HeadErrors(product, Quantize(product.Left, initialLeft * Factor(candidate)), right));
            var left = Quantize(product.Left, Chosen(initialLeft, lefts));
            rights = BestOfEach(Count(initialRight), candidate => HeadErrors(product, left, Quantize(product.Right, initialRight * Factor(candidate))));
            rightScales = Chosen(initialRight, rights).MoveToOuterDisposeScope();
        }

        return [.. lefts, .. rights];
    }

    /// <summary>Probabilities and values: the split of the softmax, then the values of every head, in every round.</summary>
    /// <returns>The candidate of the split, then those of the values.</returns>
    public int[] Mixing(RecordedProduct product)
    {
        using var scope = torch.NewDisposeScope();
        var initial = HeadScales(product.Right);
        var (split, values) = (0, Array.Empty<int>());
        for (var round = 0; round < options.Rounds; round++)
        {
            using var lifetime = torch.NewDisposeScope();
            split = BestOfEach(
                1,
                candidate => Weighted(product, Softmax(product.Left, candidate).matmul(product.Right.transpose(-2, -1)))
                    .mean([3]).mean([2]).mean([1]).sum(0, keepdim: true),
                count: 20)[0];
            var left = Softmax(product.Left, split);
            values = BestOfEach(Count(initial), candidate => HeadErrors(product, left, Quantize(product.Right, initial * Factor(candidate))));
        }

        return [split, .. values];
    }

    /// <summary>The patch embedding, one scale a channel.</summary>
    /// <returns>The candidates of the channels.</returns>
    public int[] Patches(RecordedProduct product)
    {
        using var scope = torch.NewDisposeScope();
        var weight = product.Right[0];
        var initial = weight.abs().amax([1], keepdim: true) / (Half - 0.5f);
        return BestOfEach((int)weight.shape[0], candidate =>
        {
            var scale = initial * Factor(candidate);
            var quantized = (weight / scale).round().clamp(-Half, Half - 1) * scale;
            return Weighted(product, torch.nn.functional.linear(product.Left, quantized, product.Bias)).mean([1]).sum([0]);
        });
    }

    private static Tensor Weighted(RecordedProduct product, Tensor output) => ((product.Output - output) * product.Gradient!).pow(2);

    // Errors of the heads: mean over features and rows, sum over images.
    private static Tensor HeadErrors(RecordedProduct product, Tensor left, Tensor right) =>
        Weighted(product, left.matmul(right.transpose(-2, -1))).mean([3]).mean([2]).sum([0]);

    private int[] BestOfEach(int items, Func<int, Tensor> errors, int? count = null)
    {
        var best = Enumerable.Repeat((Error: float.PositiveInfinity, Index: 0), items).ToArray();
        for (var candidate = 0; candidate < (count ?? options.Range.Count); candidate++)
        {
            using var scope = torch.NewDisposeScope();
            var found = errors(candidate).contiguous().data<float>().ToArray();
            for (var item = 0; item < items; item++)
            {
                best[item] = found[item] < best[item].Error ? (found[item], candidate) : best[item];
            }
        }

        return [.. best.Select(choice => choice.Index)];
    }

    private float Factor(int candidate) => options.Range.Scale(1, candidate);

    private float Initial(Tensor magnitudes) => magnitudes.max().item<float>() / (Half - 0.5f);

    private Tensor HeadScales(Tensor values) => values.abs().amax([0, 2, 3], keepdim: true) / (Half - 0.5f);

    private Tensor Chosen(Tensor initial, int[] candidates) =>
        initial * torch.tensor(candidates.Select(Factor).ToArray()).view(initial.shape);

    private static int Count(Tensor scales) => (int)scales.NumberOfElements;

    private Tensor Quantize(Tensor values, float scale) => (values / scale).round().clamp(-Half, Half - 1) * scale;

    private Tensor Quantize(Tensor values, Tensor scale) => (values / scale).round().clamp(-Half, Half - 1) * scale;

    private Tensor Twin(Tensor values, float scale)
    {
        var negative = new PostGeluQuantizer(scale, options.Bits.Activations).NegativeScale;
        return ((values / scale).round().clamp(0, Half - 1) * scale) + ((values / negative).round().clamp(-Half, 0) * negative);
    }

    private Tensor Softmax(Tensor values, int candidate)
    {
        var (split, highest) = (MathF.ScaleB(1, -candidate), Half - 1f);
        var fine = split / highest;
        return ((values.clamp(split, 1) * highest).round().clamp(0, highest) / highest) + ((values.clamp(0, split) / fine).round().clamp(0, highest) * fine);
    }
}
