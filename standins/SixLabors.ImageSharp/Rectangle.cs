namespace SixLabors.ImageSharp;

public struct Rectangle : IEquatable<Rectangle>
{
    public Rectangle(int x, int y, int width, int height)
    {
        X = x;
        Y = y;
        Width = width;
        Height = height;
    }

    public Rectangle(Point point, Size size)
        : this(point.X, point.Y, size.Width, size.Height)
    {
    }

    public int X { readonly get; set; }

    public int Y { readonly get; set; }

    public int Width { readonly get; set; }

    public int Height { readonly get; set; }

    public readonly int Left => X;

    public readonly int Top => Y;

    public readonly int Right => X + Width;

    public readonly int Bottom => Y + Height;

    public static bool operator ==(Rectangle left, Rectangle right) => left.Equals(right);

    public static bool operator !=(Rectangle left, Rectangle right) => !left.Equals(right);

    public readonly bool Contains(Rectangle rectangle) =>
        X <= rectangle.X && rectangle.Right <= Right && Y <= rectangle.Y && rectangle.Bottom <= Bottom;

    public readonly bool Equals(Rectangle other) =>
        X == other.X && Y == other.Y && Width == other.Width && Height == other.Height;

    public override readonly bool Equals(object? obj) => obj is Rectangle other && Equals(other);

    public override readonly int GetHashCode() => HashCode.Combine(X, Y, Width, Height);

    public override readonly string ToString() => $"Rectangle [ X={X}, Y={Y}, Width={Width}, Height={Height} ]";
}
