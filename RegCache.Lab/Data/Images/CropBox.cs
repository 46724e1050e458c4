namespace RegCache.Lab.Data.Images;

/// <summary>A rectangle of whole pixels.</summary>
/// <param name="Left">The first column.</param>
/// <param name="Top">The first row.</param>
/// <param name="Width">Columns, at least 1.</param>
/// <param name="Height">Rows, at least 1.</param>
public readonly record struct CropBox(int Left, int Top, int Width, int Height)
{
    /// <summary>Whether the rectangle has pixels and lies inside an image of this size.</summary>
    public bool FitsIn(int width, int height) =>
        Left >= 0 && Top >= 0 && Width > 0 && Height > 0 && Left <= width - Width && Top <= height - Height;
}
