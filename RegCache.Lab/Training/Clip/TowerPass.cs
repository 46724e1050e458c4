using RegCache.Lab.Distributed;
using RegCache.Lab.Pooling;

namespace RegCache.Lab.Training.Clip;

/// <summary>
/// One forward pass of a tower, cut into segments, and its backward pass from a gradient of the features. With
/// checkpointing only the tensors between segments are kept and each segment is computed again in the backward pass; the
/// gradients are the same. Segments before the first one that is trained run without gradients, once.
/// </summary>
internal sealed class TowerPass : IDisposable
{
    private readonly IReadOnlyList<Func<Tensor, Tensor>> _segments;
    private readonly int _firstTrained;
    private readonly List<Tensor> _boundaries = [];
    private readonly Tensor? _graph;
    private readonly GradientAverage? _average;
    private readonly IReadOnlyList<IDisposable> _owned;

    /// <summary>Runs the tower.</summary>
    /// <param name="input">What enters the first segment; it needs no gradient.</param>
    /// <param name="segments">The tower; each segment's result is in the caller's dispose scope.</param>
    /// <param name="checkpointing">Whether activations inside segments are forgotten.</param>
    /// <param name="firstTrained">The first segment with a parameter that is trained; the number of segments where there is none.</param>
    /// <param name="average">Told of every segment whose gradients are there; null: nobody is.</param>
    /// <param name="owned">What the segments use; disposed of with the pass.</param>
    public TowerPass(
        Tensor input,
        IReadOnlyList<Func<Tensor, Tensor>> segments,
        bool checkpointing,
        int firstTrained = 0,
        GradientAverage? average = null,
        params IReadOnlyList<IDisposable> owned)
    {
        (_segments, _firstTrained, _average, _owned) = (segments, firstTrained, average, owned);
        using var scope = torch.NewDisposeScope();
        var current = input;
        foreach (var (index, segment) in segments.Index())
        {
            using var mode = torch.set_grad_enabled(!checkpointing && index >= firstTrained);
            if (checkpointing && index >= firstTrained)
            {
                _boundaries.Add(current.alias().DetachFromDisposeScope());
            }

            current = segment(average?.Mark(current) ?? current);
        }

        Features = current.detach().DetachFromDisposeScope();
        _graph = checkpointing || firstTrained >= segments.Count ? null : current.DetachFromDisposeScope();
    }

    /// <summary>The features [B,E], without their history.</summary>
    public Tensor Features { get; }

    /// <summary>What the tower's poolings reported; null without pooling, or where the tower is not trained.</summary>
    public PoolingPass? Pooling { get; init; }

    /// <summary>Adds to the parameters' gradients; does nothing where no parameter is trained.</summary>
    /// <param name="gradient">Gradient of the loss with respect to <see cref="Features"/>.</param>
    public void Backward(Tensor gradient)
    {
        if (_graph is not null)
        {
            torch.autograd.backward([_graph], [gradient]);
            _average?.Passed();
            return;
        }

        using var mode = torch.enable_grad();
        using var scope = torch.NewDisposeScope();
        for (var index = _segments.Count - 1; index >= _firstTrained; index--)
        {
            using var segment = torch.NewDisposeScope();
            var isFirst = index == _firstTrained;
            var input = _boundaries[index - _firstTrained].detach();
            input.requires_grad = !isFirst;
            torch.autograd.backward([_segments[index](input)], [gradient]);
            _average?.Passed();
            if (!isFirst)
            {
                gradient = input.grad!.MoveToOuterDisposeScope();
            }
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        Features.Dispose();
        _graph?.Dispose();
        Pooling?.Dispose();
        foreach (var owned in _owned)
        {
            owned.Dispose();
        }

        _boundaries.ForEach(boundary => boundary.Dispose());
    }
}

/// <summary>
/// Patch dropout (Li et al. 2023, "Scaling Language-Image Pre-training via Masking"): each image keeps the class token and a random
/// choice of its patches.
/// </summary>
internal static class PatchDropout
{
    /// <summary>Draws the tokens that stay, <c>max(1, floor(n (1 - p)))</c> patches of n, in random order.</summary>
    /// <param name="images">Number of images.</param>
    /// <param name="patches">Patches of an image.</param>
    /// <param name="probability">Share that is dropped.</param>
    /// <param name="random">The stream; each image uses a fork of its own.</param>
    /// <param name="firstImage">Where the images begin in the batch of all processes: image i uses fork firstImage + i.</param>
    /// <returns>Token indices with the class token 0 in front [B,1+M], int64; null when nothing is dropped.</returns>
    public static Tensor? Draw(int images, int patches, double probability, CounterRandom random, int firstImage = 0)
    {
        if (probability <= 0)
        {
            return null;
        }

        var count = Math.Max(1, (int)(patches * (1 - probability)));
        var kept = new long[images * (1 + count)];
        for (var image = 0; image < images; image++)
        {
            var order = random.Fork(firstImage + image).NextPermutation(patches);
            for (var position = 0; position < count; position++)
            {
                kept[(image * (1 + count)) + 1 + position] = 1 + order[position];
            }
        }

        return torch.tensor(kept, [images, 1 + count]);
    }
}
