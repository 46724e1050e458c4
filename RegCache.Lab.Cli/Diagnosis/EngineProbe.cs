namespace RegCache.Lab.Cli.Diagnosis;

/// <summary>The tensor engine: libtorch, its devices and threads.</summary>
internal static class EngineProbe
{
    public static IReadOnlyList<DiagnosisLine> Find() => [];
}
