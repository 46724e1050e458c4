namespace RegCache.Lab.Data.Shapes;

/// <summary>Where the first of two objects lies, seen from the second.</summary>
public enum ShapeRelation
{
    /// <summary>The first object is on the left.</summary>
    LeftOf,

    /// <summary>The first object is on the right.</summary>
    RightOf,

    /// <summary>The first object is above.</summary>
    Above,

    /// <summary>The first object is below.</summary>
    Below,
}
