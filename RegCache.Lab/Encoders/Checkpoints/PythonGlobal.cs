namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>A name that a pickle refers to. Referring is harmless; only <see cref="PickleCalls"/> gives one a meaning.</summary>
internal sealed record PythonGlobal(string Module, string Name)
{
    /// <summary>True for the classes of a TorchScript archive, which hold attributes and nothing else.</summary>
    public bool IsTorchScriptClass => Module == "__torch__" || Module.StartsWith("__torch__.", StringComparison.Ordinal);

    public override string ToString() => $"{Module} {Name}";
}
