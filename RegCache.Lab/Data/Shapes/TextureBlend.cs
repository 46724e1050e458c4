using System.Runtime.Intrinsics;

namespace RegCache.Lab.Data.Shapes;

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
