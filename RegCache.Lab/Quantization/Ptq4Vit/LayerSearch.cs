namespace RegCache.Lab.Quantization.Ptq4Vit;

/// <summary>
/// PTQ4ViT's search of the scales of one layer (docs/methods/quantizers.md, "Hessian-guided search"). The operands are searched
/// in turn; when a round repeats the choice of the last one, all later rounds would too, and the search ends.
/// </summary>
/// <param name="options">Bits, metric, candidates and rounds.</param>
/// <param name="memory">Bytes that the candidates of one batch may take.</param>
internal sealed class LayerSearch(Ptq4VitOptions options, long memory)
{
    private int ActivationBits => options.Bits.Activations;

    /// <summary>A linear layer.</summary>
    /// <param name="product">Inputs [I,N,in] and weights [1,out,in].</param>
    /// <param name="rowGroups">Number of equal groups of weight rows with a scale each.</param>
    /// <param name="postGelu">Whether negative inputs have a range of their own.</param>
    /// <param name="name">The layer's name.</param>
    public ScalePair Linear(RecordedProduct product, int rowGroups, bool postGelu, string name) => TensorScope.Run(() =>
    {
        var rows = product.Right.shape[1] / rowGroups;
        var groups = Enumerable.Range(0, rowGroups)
            .Select(group => rowGroups == 1 ? product : product.Columns(group * rows, rows)).ToArray();
        var initialWeights = groups.Select(group => Initial(group.Right, options.Bits.Weights, name)).ToArray();
        var device = product.Left.device;
        var weights = initialWeights.Select(initial => options.Range.Uniform(initial, options.Bits.Weights, device)).ToArray();
        var (inputs, initialInput) = Inputs(product, postGelu, name);

        var (inputIndex, weightIndices) = (-1, Array.Empty<int>());
        ITensorQuantizer Input() => inputIndex < 0 ? initialInput : inputs[inputIndex];
        for (var round = 0; round < options.Rounds; round++)
        {
            using var lifetime = torch.NewDisposeScope();
            var left = Input().FakeQuantize(product.Left);
            var chosen = groups.Select((group, index) => Search(group, name).Right(weights[index], left)).ToArray();
            if (chosen.AsSpan().SequenceEqual(weightIndices))
            {
                break;
            }

            weightIndices = chosen;
            var right = torch.cat([.. groups.Select((group, index) => weights[index][chosen[index]].FakeQuantize(group.Right))], 1);
            var next = Search(product, name).Left(inputs, right);
            if (next == inputIndex)
            {
                break;
            }

            inputIndex = next;
        }

        return new ScalePair(
            inputIndex,
            Input(),
            weightIndices,
            [.. weightIndices.Select((index, group) => options.Range.Scale(initialWeights[group], index))]);
    });

    /// <summary>One head of an attention product, both operands uniform or the left one given.</summary>
    /// <param name="product">The operands of the head, [I,M,n] and [I,C,n].</param>
    /// <param name="floatPart">Where the right operand holds the prefix: (axis, count).</param>
    /// <param name="left">The quantizer of the left operand; null searches it.</param>
    /// <param name="name">The product's name.</param>
    /// <returns>The chosen indices and scales; the left ones are -1 and 0 when the quantizer was given.</returns>
    public (int LeftIndex, float LeftScale, int RightIndex, float RightScale) Head(
        RecordedProduct product, (int Axis, long Count) floatPart, ITensorQuantizer? left, string name)
    {
        using var scope = torch.NewDisposeScope();
        var device = product.Left.device;
        var own = product.Right.narrow(floatPart.Axis, floatPart.Count, product.Right.shape[floatPart.Axis] - floatPart.Count);
        var initialRight = Initial(own, ActivationBits, name);
        var rights = options.Range.Uniform(initialRight, ActivationBits, device);
        var search = new ProductSearch(product, memory, name) { FloatPart = floatPart };
        if (left is not null)
        {
            var index = search.Right(rights, left.FakeQuantize(product.Left));
            return (-1, 0, index, options.Range.Scale(initialRight, index));
        }

        var initialLeft = Initial(product.Left, ActivationBits, name);
        var lefts = options.Range.Uniform(initialLeft, ActivationBits, device);
        var right = SearchRange.Grid([initialRight], ActivationBits, device);
        var (leftIndex, rightIndex) = (-1, -1);
        for (var round = 0; round < options.Rounds; round++)
        {
            var quantized = right.FakeQuantize(product.Right);
            quantized.narrow(floatPart.Axis, 0, floatPart.Count).copy_(product.Right.narrow(floatPart.Axis, 0, floatPart.Count));
            var nextLeft = search.Left(lefts, quantized);
            if (nextLeft == leftIndex)
            {
                break;
            }

            leftIndex = nextLeft;
            var nextRight = search.Right(rights, lefts[leftIndex].FakeQuantize(product.Left));
            if (nextRight == rightIndex)
            {
                break;
            }

            rightIndex = nextRight;
            right = SearchRange.Grid([options.Range.Scale(initialRight, rightIndex)], ActivationBits, device);
        }

        return (leftIndex, options.Range.Scale(initialLeft, leftIndex), rightIndex, options.Range.Scale(initialRight, rightIndex));
    }

    /// <summary>The split of the softmax output, one for all heads, with the values in float.</summary>
    /// <param name="product">Probabilities and values, images and heads in one axis.</param>
    /// <param name="form">How the two ranges are combined.</param>
    /// <param name="name">The product's name.</param>
    public SoftmaxTwinQuantizer Split(RecordedProduct product, SoftmaxTwin form, string name)
    {
        var splits = SearchRange.SoftmaxSplits(ActivationBits, form);
        return (SoftmaxTwinQuantizer)splits[Search(product, name).Left(splits, product.Right)];
    }

    /// <summary>The weights of the patch embedding as rows; its input stays float.</summary>
    /// <param name="product">Patches [I,P,n] and weights [1,C,n].</param>
    /// <param name="name">The layer's name.</param>
    /// <returns>The chosen candidates and their scales: one, or one for each channel.</returns>
    public (int[] Indices, float[] Scales) Patches(RecordedProduct product, string name)
    {
        using var scope = torch.NewDisposeScope();
        using var noGradient = torch.no_grad();
        if (!options.PatchesPerChannel)
        {
            var initial = Initial(product.Right, options.Bits.Weights, name);
            var index = Search(product, name).Right(
                options.Range.Uniform(initial, options.Bits.Weights, product.Left.device), product.Left);
            return ([index], [options.Range.Scale(initial, index)]);
        }

        var rows = product.Right[0];
        var initials = rows.abs().amax([1]).cpu().data<float>().Select(largest => SearchRange.Initial(largest, options.Bits.Weights)).ToArray();
        var best = Enumerable.Repeat((Error: double.PositiveInfinity, Index: 0), initials.Length).ToArray();
        for (var candidate = 0; candidate < options.Range.Count; candidate++)
        {
            using var lifetime = torch.NewDisposeScope();
            float[] scales = [.. initials.Select(initial => options.Range.Scale(initial, candidate))];
            var grid = SearchRange.Grid(scales, options.Bits.Weights, rows.device, scales.Length, 1);
            var errors = ChannelErrors(product, grid.FakeQuantize(rows));
            for (var channel = 0; channel < errors.Length; channel++)
            {
                best[channel] = errors[channel] < best[channel].Error ? (errors[channel], candidate) : best[channel];
            }
        }

        return (
            [.. best.Select(choice => choice.Index)],
            [.. best.Select((choice, channel) => options.Range.Scale(initials[channel], choice.Index))]);
    }

    private double[] ChannelErrors(RecordedProduct product, Tensor weight)
    {
        var imageBytes = sizeof(float) * product.Output.shape[1] * product.Output.shape[2];
        var part = Math.Clamp(memory / imageBytes, 1, product.Images);
        var errors = torch.zeros(weight.shape[0], torch.ScalarType.Float64, weight.device);
        for (long first = 0; first < product.Images; first += part)
        {
            using var scope = torch.NewDisposeScope();
            var count = Math.Min(part, product.Images - first);
            Tensor Images(Tensor all) => all.narrow(0, first, count);
            var difference = torch.nn.functional.linear(Images(product.Left), weight, product.Bias).sub_(Images(product.Output));
            errors.add_((product.Gradient is { } gradient ? difference.mul_(Images(gradient)) : difference).square().sum([0, 1], type: torch.ScalarType.Float64));
        }

        return errors.cpu().data<double>().ToArray();
    }

    private (ICandidates Candidates, ITensorQuantizer Initial) Inputs(RecordedProduct product, bool postGelu, string name)
    {
        if (postGelu)
        {
            using var scope = torch.NewDisposeScope();
            var largest = product.Left.max();
            FiniteCheck.Require(largest, product.Left, name);
            var positive = SearchRange.Initial(largest.item<float>(), ActivationBits);
            return (options.Range.PostGelu(positive, ActivationBits), new PostGeluQuantizer(positive, ActivationBits));
        }

        var initial = Initial(product.Left, ActivationBits, name);
        return (
            options.Range.Uniform(initial, ActivationBits, product.Left.device),
            SearchRange.Grid([initial], ActivationBits, product.Left.device));
    }

    private ProductSearch Search(RecordedProduct product, string name) => new(product, memory, name);

    private static float Initial(Tensor values, int bits, string name)
    {
        using var scope = torch.NewDisposeScope();
        var (low, high) = torch.aminmax(values);
        FiniteCheck.Require(torch.stack([low, high]), values, name);
        return SearchRange.Initial(Math.Max(high.item<float>(), -low.item<float>()), bits);
    }
}

/// <summary>The candidates that a search chose for the two operands of a product, and the quantizers they stand for.</summary>
/// <param name="LeftIndex">Candidate of the left operand (input, queries or probabilities).</param>
/// <param name="Left">Its quantizer.</param>
/// <param name="RightIndices">Candidate of every row group of the right operand (weights, keys or values).</param>
/// <param name="RightScales">Their scales.</param>
internal sealed record ScalePair(int LeftIndex, ITensorQuantizer Left, int[] RightIndices, float[] RightScales) : ITensorHolder
{
    /// <inheritdoc />
    public IEnumerable<Tensor> Tensors => TensorScope.TensorsOf(Left);
}
