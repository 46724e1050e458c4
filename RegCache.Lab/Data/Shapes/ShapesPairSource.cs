using RegCache.Lab.Data.Images;

namespace RegCache.Lab.Data.Shapes;

/// <summary>The generated set as image-text pairs.</summary>
/// <param name="set">The images.</param>
public sealed class ShapesPairSource(ShapesSet set) : IPairSource
{
    /// <inheritdoc />
    public int Count => set.Count;

    /// <inheritdoc />
    public string Fingerprint => set.Fingerprint;

    /// <inheritdoc />
    public string Name(int index) => $"shapes {set.Split.ToString().ToLowerInvariant()} {index}";

    /// <inheritdoc />
    public DecodedImage LoadImage(int index) =>
        DecodedImage.FromPixels(ShapesScene.Side, ShapesScene.Side, PixelLayout.Rgb, set.Image(index));

    /// <inheritdoc />
    public string Caption(int index) => set.Samples[index].Caption;

    /// <inheritdoc />
    public void Dispose()
    {
    }
}
