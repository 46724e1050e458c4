using System.Diagnostics;

namespace RegCache.Lab.Tests.Notebooks;

/// <summary>The programs that tests of notebooks drive.</summary>
internal static class Tools
{
    /// <summary>Debian's Python, for which its Jupyter packages are.</summary>
    public const string Python = "/usr/bin/python3";

    /// <summary>Debian's browser.</summary>
    public const string Chromium = "/usr/bin/chromium";

    /// <summary>Why a test is skipped; null where its tool is there, and where <c>REGCACHE_ALL_TOOLS</c> wants it to fail instead.</summary>
    /// <param name="isThere">Whether the tool is there.</param>
    /// <param name="packages">Debian's packages of it; null for the tool that `dotnet tool restore` fetches.</param>
    public static string? Missing(bool isThere, string? packages = null) =>
        isThere || Environment.GetEnvironmentVariable("REGCACHE_ALL_TOOLS") == "1" ? null
            : packages is null ? "Not installed (dotnet tool restore)."
            : $"Not installed (Debian: apt-get install {packages}).";

    public static bool HasJupyterClient { get; } = Imports("nbconvert, jupyter_client");

    public static bool HasJupyterNotebook { get; } = Imports("notebook");

    public static bool HasChromium { get; } = File.Exists(Chromium);

    /// <summary>Whether the registry has .NET Interactive's own kernel, which the tool manifest names.</summary>
    public static bool HasInteractiveKernel { get; } = Succeeds("dotnet", "tool", "restore");

    private static bool Imports(string modules) => File.Exists(Python) && Succeeds(Python, "-c", $"import {modules}");

    private static bool Succeeds(string program, params string[] words)
    {
        using var process = Process.Start(new ProcessStartInfo(program, words)
        {
            WorkingDirectory = Goldens.RepositoryRoot, RedirectStandardError = true, RedirectStandardOutput = true,
        })!;
        process.OutputDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0;
    }
}
