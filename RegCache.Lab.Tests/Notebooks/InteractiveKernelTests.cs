using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using RegCache.Lab.Notebooks.Formats;

namespace RegCache.Lab.Tests.Notebooks;

/// <summary>The lessons under .NET Interactive's own kernel, which the tool manifest names, instead of the kit's.</summary>
[Collection(NotebookTests.Name)]
public sealed partial class InteractiveKernelTests
{
    private const string KernelName = ".net-csharp";

    [JupyterFact(NeedsInteractiveKernel = true)]
    [Trait("Category", "Slow")]
    public async Task AllLessonsRunAndTheirPlotsNeedNoNetwork()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder["notebooks"]);
        Directory.CreateDirectory(folder[".config"]);
        File.Copy(Path.Combine(Goldens.RepositoryRoot, ".config", "dotnet-tools.json"), folder[".config", "dotnet-tools.json"]);
        File.CreateSymbolicLink(folder["artifacts"], Path.Combine(Goldens.RepositoryRoot, "artifacts"));
        WriteKernelSpec(folder);
        foreach (var lesson in Lesson.All)
        {
            // Calibrating takes minutes, and is the same code under every kernel.
            var small = lesson.Name.StartsWith("07", StringComparison.Ordinal) ? lesson.Small("calibratedWidths=0") : lesson.Small();
            small.Save(folder["notebooks", lesson.Name + ".ipynb"]);
        }

        // The page of the basic template is the notebook alone, without what the template itself would load from a network.
        var (exitCode, _, error) = ExternalProcess.Run(
            Tools.Python,
            [
                "-m", "nbconvert", "--execute", "--to", "html", "--template", "basic", "--ExecutePreprocessor.timeout=300",
                .. Lesson.All.Select(lesson => folder["notebooks", lesson.Name + ".ipynb"]),
            ],
            ("JUPYTER_PATH", folder["jupyter"]),
            ("REGCACHE_ROOT", Goldens.RepositoryRoot),
            ("DOTNET_INTERACTIVE_CLI_TELEMETRY_OPTOUT", "1"));
        Assert.True(exitCode == 0, error);
        foreach (var lesson in Lesson.All)
        {
            var page = await File.ReadAllTextAsync(folder["notebooks", lesson.Name + ".html"]);
            Assert.DoesNotContain("output_error", page, StringComparison.Ordinal);
            Assert.Contains($"class=\"{PlotFormat.CssClass}\"", page, StringComparison.Ordinal);
            Assert.Single(Regex.Matches(page, "<script class=\"regcache-plotly\">"));
            Assert.Empty(NetworkScripts().Matches(page).Select(match => $"{lesson.Name}: {match.Value}"));
        }
    }

    private static void WriteKernelSpec(TemporaryFolder folder)
    {
        var spec = Directory.CreateDirectory(folder["jupyter", "kernels", KernelName]);
        File.WriteAllText(Path.Combine(spec.FullName, "kernel.json"), new JsonObject
        {
            ["argv"] = new JsonArray("dotnet", "tool", "run", "dotnet-interactive", "--", "jupyter", "--default-kernel", "csharp", "{connection_file}"),
            ["display_name"] = ".NET (C#)",
            ["language"] = "C#",
        }.ToJsonString());
    }

    [GeneratedRegex("<(script|link|img)[^>]*(src|href)=[\"']?(https?:)?//[^>]*>")]
    private static partial Regex NetworkScripts();
}
