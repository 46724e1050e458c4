namespace RegCache.Lab.Tests.Notebooks;

/// <summary>A test that needs Jupyter's own client.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class JupyterFactAttribute : FactAttribute
{
    public JupyterFactAttribute() => Skip = Tools.Missing(Tools.HasJupyterClient, "python3-nbconvert python3-jupyter-client");
}
