using System.Diagnostics;

namespace RegCache.Lab.Tests.Notebooks;

/// <summary>A test that needs Jupyter's own client; skipped, with the reason, where Debian's packages are absent.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class JupyterFactAttribute : FactAttribute
{
    public const string Python = "/usr/bin/python3";

    private static readonly bool IsThere = Imports();

    public JupyterFactAttribute()
    {
        if (!IsThere)
        {
            Skip = "Jupyter's client is not installed (Debian: python3-nbconvert, python3-jupyter-client).";
        }
    }

    private static bool Imports()
    {
        if (!File.Exists(Python))
        {
            return false;
        }

        using var process = Process.Start(new ProcessStartInfo(Python, ["-c", "import nbconvert, jupyter_client"]) { RedirectStandardError = true })!;
        process.WaitForExit();
        return process.ExitCode == 0;
    }
}
