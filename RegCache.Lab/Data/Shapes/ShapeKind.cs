namespace RegCache.Lab.Data.Shapes;

/// <summary>The shapes of the generated set, in class order.</summary>
public enum ShapeKind
{
    /// <summary>A filled disc.</summary>
    Circle,

    /// <summary>A filled square.</summary>
    Square,

    /// <summary>An equilateral triangle, point up.</summary>
    Triangle,

    /// <summary>A five-pointed star, one tip up.</summary>
    Star,

    /// <summary>An upright cross with arms of equal length.</summary>
    Cross,

    /// <summary>A disc with a hole.</summary>
    Ring,
}
