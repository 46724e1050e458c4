using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace RegCache.Lab.Data.Shapes;

/// <summary>
/// Signed distances to the lines that bound a shape, inside positive, in units of its radius. The place (u, v) is seen from the
/// shape's centre, turned with it; v points down.
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

    /// <summary>The distances of eight pixels of a row.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<float> Of(ShapeKind kind, Vector256<float> u, Vector256<float> v) => kind switch
    {
        ShapeKind.Circle => Vector256.Create(0.92f) - Length(u, v),
        ShapeKind.Ring => Ring(Length(u, v)),
        ShapeKind.Square => Vector256.Create(0.82f) - Vector256.Max(Vector256.Abs(u), Vector256.Abs(v)),
        ShapeKind.Cross => Cross(Vector256.Abs(u), Vector256.Abs(v)),
        ShapeKind.Triangle => Triangle(u, v - Vector256.Create(0.15f)),
        ShapeKind.Star => Star(Vector256.Abs(u), -v),
        _ => throw new UnreachableException(),
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

/// <summary>The share of the darker tone at a pixel, from 0 to 1.</summary>
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
        ShapeTexture.Solid => Vector256<float>.Zero,
        _ => throw new UnreachableException(),
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
