namespace RegCache.Lab.Tests.Standins;

/// <summary>Compares tensors with values worked out by hand.</summary>
internal static class TensorAssert
{
    /// <summary>The same shape, and values within 1e-5.</summary>
    public static void Equal(long[] shape, double[] values, Tensor actual)
    {
        Assert.Equal(shape, actual.shape);
        using var numbers = actual.to(torch.float64).contiguous();
        var found = numbers.data<double>().ToArray();
        Assert.Equal(values.Length, found.Length);
        for (var i = 0; i < values.Length; i++)
        {
            if (!found[i].Equals(values[i]))
            {
                Assert.Equal(values[i], found[i], 1e-5);
            }
        }
    }

    /// <summary>A vector's values.</summary>
    public static void Equal(double[] values, Tensor actual) => Equal([values.Length], values, actual);

    /// <summary>A single number.</summary>
    public static void Equal(double value, Tensor actual) => Equal([], [value], actual);
}
