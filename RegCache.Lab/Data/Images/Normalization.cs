using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace RegCache.Lab.Data.Images;

/// <summary>Turns RGB bytes into float planes: (byte / 255 - mean) / standard deviation, looked up in a table.</summary>
internal sealed class Normalization
{
    private readonly float[] _red;
    private readonly float[] _green;
    private readonly float[] _blue;

    public Normalization(RgbValues mean, RgbValues deviation)
    {
        _red = Table(mean.Red, deviation.Red);
        _green = Table(mean.Green, deviation.Green);
        _blue = Table(mean.Blue, deviation.Blue);
    }

    /// <summary>Fills [3, H, W] from [H, W, 3].</summary>
    public void Apply(ReadOnlySpan<byte> rgb, Span<float> planes)
    {
        var pixels = rgb.Length / 3;
        ref var source = ref MemoryMarshal.GetReference(rgb);
        ref var red = ref MemoryMarshal.GetArrayDataReference(_red);
        ref var green = ref MemoryMarshal.GetArrayDataReference(_green);
        ref var blue = ref MemoryMarshal.GetArrayDataReference(_blue);
        var redPlane = planes[..pixels];
        var greenPlane = planes.Slice(pixels, pixels);
        var bluePlane = planes.Slice(2 * pixels, pixels);
        for (var i = 0; i < pixels; i++)
        {
            redPlane[i] = Unsafe.Add(ref red, Unsafe.Add(ref source, 3 * i));
            greenPlane[i] = Unsafe.Add(ref green, Unsafe.Add(ref source, (3 * i) + 1));
            bluePlane[i] = Unsafe.Add(ref blue, Unsafe.Add(ref source, (3 * i) + 2));
        }
    }

    private static float[] Table(double mean, double deviation)
    {
        var table = new float[256];
        for (var value = 0; value < table.Length; value++)
        {
            table[value] = (float)(((value / 255.0) - mean) / deviation);
        }

        return table;
    }
}

/// <summary>A model's input turned back into pictures.</summary>
public static class InputPixels
{
    /// <summary>Undoes the normalisation.</summary>
    /// <param name="images">Normalised images [B,3,H,W].</param>
    /// <param name="preprocess">How they were normalised.</param>
    /// <returns>For each image its pixels [H,W,3].</returns>
    public static IReadOnlyList<byte[]> Of(Tensor images, PreprocessOptions preprocess)
    {
        static Tensor Channels(RgbValues values) => torch.tensor(new[] { values.Red, values.Green, values.Blue }).view(3, 1, 1);
        using var scope = torch.NewDisposeScope();
        var bytes = ((images.cpu() * Channels(preprocess.StandardDeviation)) + Channels(preprocess.Mean)).mul(255).round().clamp(0, 255)
            .to(torch.ScalarType.Byte).permute(0, 2, 3, 1).contiguous();
        return [.. Enumerable.Range(0, (int)bytes.shape[0]).Select(image => bytes[image].data<byte>().ToArray())];
    }
}
