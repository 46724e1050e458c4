namespace RegCache.Lab.Data.Shapes;

/// <summary>One image of the generated set without its pixels.</summary>
/// <param name="Scene">What it shows.</param>
/// <param name="Caption">Its caption.</param>
public sealed record ShapesSample(ShapesScene Scene, string Caption)
{
    /// <summary>The class of the only object; -1 when there are two.</summary>
    public int Label => Scene.Second is null ? Scene.First.Class : -1;
}
