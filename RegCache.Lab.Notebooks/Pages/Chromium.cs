using System.Diagnostics;

namespace RegCache.Lab.Notebooks.Pages;

/// <summary>A Chromium of this machine, run without a window.</summary>
internal static class Chromium
{
    /// <summary>The environment variable that names the program.</summary>
    public const string Variable = "REGCACHE_CHROMIUM";

    private static readonly string[] Names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(3);

    /// <summary>Opens a page, lets its scripts run, and returns the page as they left it.</summary>
    /// <param name="page">The page's file.</param>
    /// <param name="cancellation">Stops it.</param>
    /// <exception cref="UserException">There is no Chromium, or it fails.</exception>
    public static async Task<string> RenderAsync(string page, CancellationToken cancellation)
    {
        var profile = Directory.CreateTempSubdirectory("regcache-chromium-");
        try
        {
            // The sandbox does not start for root, who owns containers; the page is the kit's own.
            var start = new ProcessStartInfo(
                Find(),
                [
                    "--headless=new", "--disable-gpu", "--no-first-run", $"--user-data-dir={profile.FullName}",
                    .. Environment.IsPrivilegedProcess ? ["--no-sandbox"] : Array.Empty<string>(),
                    "--virtual-time-budget=120000", "--dump-dom", new Uri(page).AbsoluteUri,
                ])
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            };
            return await RunAsync(start, cancellation);
        }
        finally
        {
            profile.Delete(recursive: true);
        }
    }

    private static async Task<string> RunAsync(ProcessStartInfo start, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Patience);
        using var process = Process.Start(start)!;
        try
        {
            var error = process.StandardError.ReadToEndAsync(limit.Token);
            var output = await process.StandardOutput.ReadToEndAsync(limit.Token);
            await process.WaitForExitAsync(limit.Token);
            return process.ExitCode == 0
                ? output
                : throw new UserException($"{start.FileName} failed with exit code {process.ExitCode}: {(await error).Trim().Split('\n')[^1]}");
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new UserException($"{start.FileName} did not draw the plots within {Patience.TotalMinutes} minutes.");
        }
        finally
        {
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
            }
        }
    }

    private static string Find()
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } named)
        {
            return File.Exists(named)
                ? named
                : throw new UserException($"The environment variable {Variable} names {named}, which does not exist; correct or remove it.");
        }

        var folders = (Environment.GetEnvironmentVariable("PATH") ?? string.Empty).Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries);
        return Names.SelectMany(name => folders.Select(folder => Path.Combine(folder, name))).FirstOrDefault(File.Exists)
            ?? throw new UserException($"Pictures of plots need Chromium (Debian: apt-get install chromium); install it, or name one in {Variable}.");
    }
}
