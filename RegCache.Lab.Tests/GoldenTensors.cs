using RegCache.Lab.Encoders.Checkpoints;
using TorchSharp;

namespace RegCache.Lab.Tests;

/// <summary>Reads the tensors of a golden file.</summary>
internal static class GoldenTensors
{
    public static Dictionary<string, torch.Tensor> Load(string area, params string[] parts)
    {
        using var file = WeightFile.Open(Goldens.Path(area, parts));
        return file.Tensors.ToDictionary(entry => entry.Name, entry => entry.ToTensor().DetachFromDisposeScope());
    }

    /// <summary>Asserts that two tensors hold the same bits.</summary>
    public static void AssertIdentical(torch.Tensor expected, torch.Tensor actual, string message = "")
    {
        Assert.Equal(expected.shape, actual.shape);
        using var scope = torch.NewDisposeScope();
        Assert.True(expected.contiguous().bytes.SequenceEqual(actual.contiguous().bytes), message);
    }

    /// <summary>Asserts that all elements are within an absolute or a relative tolerance.</summary>
    public static void AssertClose(torch.Tensor expected, torch.Tensor actual, double absolute, double relative = 0)
    {
        Assert.Equal(expected.shape, actual.shape);
        using var scope = torch.NewDisposeScope();
        var wanted = expected.to(torch.ScalarType.Float64);
        var excess = (actual.to(torch.ScalarType.Float64) - wanted).abs() - (wanted.abs() * relative);
        var worst = excess.NumberOfElements == 0 ? 0 : excess.max().item<double>();
        Assert.True(worst <= absolute, $"off by {worst:g3} beyond the tolerance of {absolute:g3}");
    }
}
