namespace RegCache.Lab.Data.Shapes;

/// <summary>The parts of the generated set. No two parts share random numbers.</summary>
public enum ShapesSplit
{
    /// <summary>One or two objects, captions with random optional parts; for training.</summary>
    Train,

    /// <summary>As <see cref="Train"/>; for activation ranges, register extraction and norms.</summary>
    Calibration,

    /// <summary>One object, class i modulo 48, full captions; every choice is made on it.</summary>
    Validation,

    /// <summary>As <see cref="Validation"/>; used for final numbers and for no choice.</summary>
    Test,

    /// <summary>One or two objects, full captions; pairs for retrieval.</summary>
    Retrieval,
}
