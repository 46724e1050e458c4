namespace RegCache.Lab.Cli.Diagnosis;

/// <summary>One fact about the machine or the installation.</summary>
/// <param name="Name">What it is about.</param>
/// <param name="Value">What was found; where something is missing, what to do.</param>
/// <param name="Problem">Whether the kit cannot work as it is.</param>
internal sealed record DiagnosisLine(string Name, string Value, bool Problem = false);
