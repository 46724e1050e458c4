using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace RegCache.Lab.Data.Shapes;

/// <summary>Draws scenes as pixels (demo-model.md, section 1). An instance holds work space and serves one thread.</summary>
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

/// <summary>
/// Signed distances to the lines that bound of the shapes, inside positive, in units of the radius; v points down
/// (demo-model.md, section 1).
/// </summary>
internal static class ShapeDistance
{
    // Sine and cosine of 36 degrees: half the angle between two tips of the star.
    private const float Sin36 = 0.5877852522924731f;
    private const float Cos36 = 0.8090169943749475f;
    private const float Sin72 = 0.9510565162951535f;
    private const float Cos72 = 0.3090169943749474f;
    private const float TipRadius = 1.08f;
    private const float NotchRadius = 0.44f;
    private static readonly (float X, float Y) _edgeNormal = EdgeNormal();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Of(ShapeKind kind, Vector256<float> u, Vector256<float> v) => kind switch
    {
        ShapeKind.Circle => Vector256.Create(0.92f) - Length(u, v),
        ShapeKind.Ring => Ring(Length(u, v)),
        ShapeKind.Square => Vector256.Create(0.82f) - Vector256.Max(Vector256.Abs(u), Vector256.Abs(v)),
        ShapeKind.Cross => Cross(Vector256.Abs(u), Vector256.Abs(v)),
        ShapeKind.Triangle => Triangle(u, v - Vector256.Create(0.15f)),
        _ => Star(Vector256.Abs(u), -v),
    };

    private static Vector256<float> Length(Vector256<float> u, Vector256<float> v) => Vector256.Sqrt((u * u) + (v * v));

    private static Vector256<float> Ring(Vector256<float> length) =>
        Vector256.Min(Vector256<float>.One - length, length - Vector256.Create(0.55f));

    private static Vector256<float> Cross(Vector256<float> u, Vector256<float> v)
    {
        var narrow = Vector256.Create(0.28f);
        return Vector256.Max(
            Vector256.Min(narrow - u, Vector256<float>.One - v),
            Vector256.Min(narrow - v, Vector256<float>.One - u));
    }

    private static Vector256<float> Triangle(Vector256<float> u, Vector256<float> v)
    {
        var slope = Vector256.Abs(u) * 0.866f;
        var half = Vector256.Create(0.5f);
        return Vector256.Min(half - v, half + (v * 0.5f) - slope) + Vector256.Create(0.06f);
    }

    // Reflections about the notch lines at 108 and 36 degrees bring every point into the sector of one tip.
    private static Vector256<float> Star(Vector256<float> u, Vector256<float> up)
    {
        var beyond = Vector256.Max((u * -Cos72) - (up * Sin72), Vector256<float>.Zero);
        (u, up) = (u + (beyond * (2 * Cos72)), up + (beyond * (2 * Sin72)));
        beyond = Vector256.Max((u * Cos36) - (up * Sin36), Vector256<float>.Zero);
        (u, up) = (u - (beyond * (2 * Cos36)), up + (beyond * (2 * Sin36)));
        return (Vector256.Abs(u) * _edgeNormal.X) + ((up - Vector256.Create(TipRadius)) * _edgeNormal.Y);
    }

    // The inner normal of the edge from a tip to the next notch.
    private static (float X, float Y) EdgeNormal()
    {
        var (x, y) = (NotchRadius * Sin36, (NotchRadius * Cos36) - TipRadius);
        var length = MathF.Sqrt((x * x) + (y * y));
        return (y / length, -x / length);
    }
}

/// <summary>The share of the darker tone at a pixel, from 0 to 1 (demo-model.md, section 1).</summary>
internal readonly struct TextureBlend
{
    private readonly ShapeTexture _texture;
    private readonly float _stepX;
    private readonly float _stepY;
    private readonly float _period;
    private readonly float _offsetX;
    private readonly float _offsetY;

    public TextureBlend(ShapeTexture texture, TexturePattern pattern)
    {
        (_texture, _period) = (texture, (float)pattern.Period);
        (_offsetX, _offsetY) = ((float)pattern.OffsetX, (float)pattern.OffsetY);
        if (texture == ShapeTexture.Striped)
        {
            var (sin, cos) = PortableTrigonometry.SinCos(pattern.Angle);
            (_stepX, _stepY) = ((float)(cos / pattern.Period), (float)(sin / pattern.Period));
        }
    }

    /// <summary>The blend of eight pixels of a row.</summary>
    public Vector256<float> At(Vector256<float> x, float y) => _texture switch
    {
        ShapeTexture.Striped => Stripes(x, y),
        ShapeTexture.Dotted => Dots(x, y),
        _ => Vector256<float>.Zero,
    };

    private Vector256<float> Stripes(Vector256<float> x, float y)
    {
        var turns = (x * _stepX) + Vector256.Create((y * _stepY) + _offsetX);
        return Unit(((CosineOfTurns(turns) - Vector256.Create(0.1f)) * 2.5f) + Vector256.Create(0.5f));
    }

    private Vector256<float> Dots(Vector256<float> x, float y)
    {
        var cellX = Centered((x + Vector256.Create(_offsetX)) / _period);
        var cellY = Centered(Vector256.Create((y + _offsetY) / _period));
        var distance = Vector256.Sqrt((cellX * cellX) + (cellY * cellY));
        return Unit(((Vector256.Create(0.28f) - distance) * _period) + Vector256.Create(0.5f));
    }

    // cos(2 pi t) = sin(2 pi (1/4 - abs(t))), by the series of the sine up to the ninth power.
    private static Vector256<float> CosineOfTurns(Vector256<float> turns)
    {
        var folded = Vector256.Create(0.25f) - Vector256.Abs(Centered(turns));
        var angle = folded * (2 * MathF.PI);
        var square = angle * angle;
        var sum = Vector256.Create(1 / 362880f);
        sum = (sum * square) - Vector256.Create(1 / 5040f);
        sum = (sum * square) + Vector256.Create(1 / 120f);
        sum = (sum * square) - Vector256.Create(1 / 6f);
        sum = (sum * square) + Vector256<float>.One;
        return sum * angle;
    }

    // The distance to the nearest whole number, from -0.5 to 0.5.
    private static Vector256<float> Centered(Vector256<float> value) =>
        value - Vector256.Floor(value + Vector256.Create(0.5f));

    private static Vector256<float> Unit(Vector256<float> value) =>
        Vector256.Min(Vector256.Max(value, Vector256<float>.Zero), Vector256<float>.One);
}

/// <summary>
/// Sine and cosine from additions and multiplications alone. The system's own differ in the last bit from one machine to
/// the next, which would show in the pixels of the generated set.
/// </summary>
internal static class PortableTrigonometry
{
    /// <summary>Sine and cosine of an angle in radians, to about 1e-9.</summary>
    public static (double Sin, double Cos) SinCos(double angle)
    {
        // The series serves the quarter around zero; quadrant rotations give the rest.
        var quarters = Math.Floor((angle / (Math.PI / 2)) + 0.5);
        var x = angle - (quarters * (Math.PI / 2));
        var square = x * x;
        var sin = x * (1 - (square / 6 * (1 - (square / 20 * (1 - (square / 42 * (1 - (square / 72 * (1 - (square / 110))))))))));
        var cos = 1 - (square / 2 * (1 - (square / 12 * (1 - (square / 30 * (1 - (square / 56 * (1 - (square / 90)))))))));
        return ((int)quarters & 3) switch
        {
            0 => (sin, cos),
            1 => (cos, -sin),
            2 => (-sin, -cos),
            _ => (-cos, sin),
        };
    }
}
