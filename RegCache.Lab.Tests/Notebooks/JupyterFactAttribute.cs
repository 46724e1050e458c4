namespace RegCache.Lab.Tests.Notebooks;

/// <summary>A test that needs Jupyter's own client.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class JupyterFactAttribute : FactAttribute
{
    public JupyterFactAttribute() => Skip = Tools.Missing(Tools.HasJupyterClient, "python3-nbconvert python3-jupyter-client");

    /// <summary>Whether it also needs .NET Interactive's own kernel.</summary>
    public bool NeedsInteractiveKernel
    {
        get;
        set
        {
            field = value;
            Skip ??= value ? Tools.Missing(Tools.HasInteractiveKernel) : null;
        }
    }
}
