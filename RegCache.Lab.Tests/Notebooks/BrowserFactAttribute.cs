namespace RegCache.Lab.Tests.Notebooks;

/// <summary>A test that drives a browser, and may drive Jupyter in it.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class BrowserFactAttribute : FactAttribute
{
    public BrowserFactAttribute() => Skip = Tools.Missing(Tools.HasChromium, "chromium");

    /// <summary>Whether the page is Jupyter's.</summary>
    public bool NeedsJupyter
    {
        get;
        set
        {
            field = value;
            Skip ??= value ? Tools.Missing(Tools.HasJupyterNotebook, "jupyter-notebook") : null;
        }
    }
}
