namespace RegCache.Lab.Training.Clip;

/// <summary>The course of the learning rate after the warm-up.</summary>
public enum ScheduleKind
{
    /// <summary>Half a cosine down to 0.</summary>
    Cosine,

    /// <summary>Constant.</summary>
    Const,

    /// <summary>Constant, then a cool-down.</summary>
    ConstCooldown,
}
