namespace RegCache.Lab.Evaluation;

/// <summary>Gathers patch norms and directions at one place of the encoder.</summary>
internal sealed class PlaceNorms
{
    private readonly List<(double Median, double Max, int Outliers)> _images = [];
    private readonly List<float> _hidden = [];
    private readonly DirectionSum _outliers = new();
    private readonly DirectionSum _others = new();

    /// <summary>Adds the patch tokens [B,N,C] of a batch.</summary>
    public void AddStream(Tensor patches)
    {
        using var scope = torch.NewDisposeScope();
        var norms = patches.square().sum(-1).sqrt();
        var (sorted, _) = norms.sort(1);
        var medians = sorted.select(1, (sorted.shape[1] - 1) / 2);
        var isOutlier = norms > medians.unsqueeze(1) * TokenNorms.OutlierFactor;
        var directions = patches / norms.unsqueeze(-1);
        _outliers.Add(directions, isOutlier.to(torch.ScalarType.Float32));
        _others.Add(directions, isOutlier.logical_not().to(torch.ScalarType.Float32));
        var counts = isOutlier.to(torch.ScalarType.Int64).sum(1).data<long>().ToArray();
        var (middle, largest) = (medians.data<float>().ToArray(), sorted.select(1, -1).data<float>().ToArray());
        _images.AddRange(counts.Select((count, image) => ((double)middle[image], (double)largest[image], (int)count)));
    }

    /// <summary>Adds the patches' values [B,N,R*C] at the input of the second MLP layer.</summary>
    public void AddHidden(Tensor patches)
    {
        using var scope = torch.NewDisposeScope();
        _hidden.AddRange(patches.abs().amax([1, 2]).data<float>().ToArray());
    }

    public TokenNorms Summarise(string place) => new(
        place,
        _images.Average(image => image.Median),
        _images.Average(image => image.Max),
        _images.Average(image => image.Max / image.Median),
        _images.Average(image => image.Outliers),
        _images.Min(image => image.Outliers),
        _images.Max(image => image.Outliers),
        _outliers.MeanCosine(),
        _others.MeanCosine(),
        _hidden.Count == 0 ? null : _hidden.Average());

    /// <summary>The mean cosine of all pairs of n unit vectors: (|sum|^2 - n) / (n (n - 1)).</summary>
    private sealed class DirectionSum
    {
        private double[]? _sum;
        private double _count;

        public void Add(Tensor directions, Tensor weights)
        {
            using var scope = torch.NewDisposeScope();
            var sum = (directions * weights.unsqueeze(-1)).sum([0, 1], type: torch.ScalarType.Float64).data<double>().ToArray();
            _sum = _sum is null ? sum : [.. _sum.Zip(sum, (a, b) => a + b)];
            _count += weights.sum().ToDouble();
        }

        public double? MeanCosine() =>
            _count < 2 ? null : (_sum!.Sum(value => value * value) - _count) / (_count * (_count - 1));
    }
}
