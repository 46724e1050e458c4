using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace RegCache.Lab.Data.Shapes;

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
