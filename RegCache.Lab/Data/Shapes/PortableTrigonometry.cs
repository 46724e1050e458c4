namespace RegCache.Lab.Data.Shapes;

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
