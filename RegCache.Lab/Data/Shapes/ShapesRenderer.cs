using System.Runtime.Intrinsics;

namespace RegCache.Lab.Data.Shapes;

/// <summary>Draws scenes as pixels (docs/methods/shapes.md). An instance holds work space and serves one thread.</summary>
internal sealed class ShapesRenderer
{
    private const int Side = ShapesScene.Side;
    private const int Pixels = Side * Side;
    private const float DarkTone = 0.45f;
    private const float BackgroundNoise = 16;
    private const float PixelNoise = 3;

    private static readonly Vector256<float> _laneCenters = Vector256.Create(0.5f, 1.5f, 2.5f, 3.5f, 4.5f, 5.5f, 6.5f, 7.5f);

    private readonly float[] _planes = new float[3 * Pixels];
    private readonly float[] _noise = new float[3 * Pixels];

    /// <summary>Draws one image.</summary>
    /// <param name="scene">What it shows.</param>
    /// <param name="random">Draws the noise.</param>
    /// <param name="target">Rows of pixels of red, green and blue, 64 x 64 x 3 bytes.</param>
    public void Render(ShapesScene scene, ref CounterRandom random, Span<byte> target)
    {
        Fill(scene.Background, ref random);
        Draw(scene.First);
        if (scene.Second is { } second)
        {
            Draw(second);
        }

        random.FillNormal(_noise, PixelNoise);
        Finish(target);
    }

    private Span<float> Plane(int channel) => _planes.AsSpan(channel * Pixels, Pixels);

    private void Fill(ShapeBackground background, ref CounterRandom random)
    {
        Plane(0).Fill(background.First.Red);
        Plane(1).Fill(background.First.Green);
        Plane(2).Fill(background.First.Blue);
        if (background.Kind == BackgroundKind.Gradient)
        {
            AddGradient(background);
        }
        else if (background.Kind == BackgroundKind.Noisy)
        {
            var noise = _noise.AsSpan(0, Pixels);
            random.FillNormal(noise, BackgroundNoise);
            for (var channel = 0; channel < 3; channel++)
            {
                var plane = Plane(channel);
                for (var pixel = 0; pixel < Pixels; pixel++)
                {
                    plane[pixel] += noise[pixel];
                }
            }
        }
    }

    private void AddGradient(ShapeBackground background)
    {
        var (sin, cos) = PortableTrigonometry.SinCos(background.Direction);
        var difference = new Rgb(
            background.Second.Red - background.First.Red,
            background.Second.Green - background.First.Green,
            background.Second.Blue - background.First.Blue);
        for (var y = 0; y < Side; y++)
        {
            for (var x = 0; x < Side; x += Vector256<float>.Count)
            {
                var across = (Columns(x) - Vector256.Create(Side / 2f)) * (float)cos;
                var along = Vector256.Create((float)((y + 0.5 - (Side / 2)) * sin));
                var share = Unit(((across + along) * (1f / Side)) + Vector256.Create(0.5f));
                Add(0, y, x, share * difference.Red);
                Add(1, y, x, share * difference.Green);
                Add(2, y, x, share * difference.Blue);
            }
        }
    }

    private void Draw(ShapeObject shape)
    {
        // Star tips and rotated corners of the square reach 1.16 radii from the centre; one more pixel is smoothed.
        var reach = (1.2 * shape.Radius) + 1;
        var firstRow = Math.Max(0, (int)(shape.CenterY - reach));
        var lastRow = Math.Min(Side - 1, (int)(shape.CenterY + reach));
        var firstColumn = Math.Max(0, (int)(shape.CenterX - reach)) & -Vector256<float>.Count;
        var lastColumn = Math.Min(Side - 1, (int)(shape.CenterX + reach));
        var (sin, cos) = PortableTrigonometry.SinCos(shape.Rotation);
        var scale = 1 / shape.Radius;
        var (scaledSin, scaledCos) = ((float)(sin * scale), (float)(cos * scale));
        var texture = new TextureBlend(shape.Texture, shape.Pattern);
        for (var y = firstRow; y <= lastRow; y++)
        {
            var offsetY = (float)(y + 0.5 - shape.CenterY);
            for (var x = firstColumn; x <= lastColumn; x += Vector256<float>.Count)
            {
                var columns = Columns(x);
                var offsetX = columns - Vector256.Create((float)shape.CenterX);
                var u = (offsetX * scaledCos) + Vector256.Create(offsetY * scaledSin);
                var v = Vector256.Create(offsetY * scaledCos) - (offsetX * scaledSin);
                var distance = ShapeDistance.Of(shape.Kind, u, v);
                var alpha = Unit((distance * (float)shape.Radius) + Vector256.Create(0.5f));
                if (alpha == Vector256<float>.Zero)
                {
                    continue;
                }

                // blend 1 is the second, darker tone.
                var tone = Vector256<float>.One - (texture.At(columns, y + 0.5f) * (1 - DarkTone));
                Blend(0, y, x, alpha, tone * shape.Color.Red);
                Blend(1, y, x, alpha, tone * shape.Color.Green);
                Blend(2, y, x, alpha, tone * shape.Color.Blue);
            }
        }
    }

    private void Blend(int channel, int y, int x, Vector256<float> alpha, Vector256<float> color)
    {
        var row = Plane(channel).Slice((y * Side) + x, Vector256<float>.Count);
        var below = Vector256.Create<float>(row);
        (below + (alpha * (color - below))).CopyTo(row);
    }

    private void Add(int channel, int y, int x, Vector256<float> amount)
    {
        var row = Plane(channel).Slice((y * Side) + x, Vector256<float>.Count);
        (Vector256.Create<float>(row) + amount).CopyTo(row);
    }

    private void Finish(Span<byte> target)
    {
        for (var channel = 0; channel < 3; channel++)
        {
            var plane = Plane(channel);
            var noise = _noise.AsSpan(channel * Pixels, Pixels);
            for (var pixel = 0; pixel < Pixels; pixel++)
            {
                target[(3 * pixel) + channel] = Truncate(plane[pixel] + noise[pixel]);
            }
        }
    }

    private static Vector256<float> Columns(int first) => _laneCenters + Vector256.Create((float)first);

    private static Vector256<float> Unit(Vector256<float> value) =>
        Vector256.Min(Vector256.Max(value, Vector256<float>.Zero), Vector256<float>.One);

    private static byte Truncate(float value) => (byte)Math.Min(Math.Max(value, 0f), 255f);
}
