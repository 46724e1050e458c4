using System.Text.Json.Nodes;
using RegCache.Lab.Notebooks;
using RegCache.Lab.Notebooks.Pages;
using RegCache.Lab.Notebooks.Running;

namespace RegCache.Lab.Tests.Notebooks;

[Collection(NotebookTests.Name)]
[Trait("Category", "Slow")]
public sealed class NotebookRunnerTests
{
    [Fact]
    public async Task OutputsAreKeptInTheFormat()
    {
        var document = NotebookDocument.Parse(
            NotebookFiles.Code("Console.Write(\"a\\nb\"); Console.Error.Write(\"c\"); HTML(\"<i>x</i>\")", "\"iVBORw0KGgo=\".DisplayAs(\"image/png\");"), "test");
        var result = await new NotebookRunner(Environment.CurrentDirectory).RunAsync(document);
        Assert.True(result.Succeeded, result.Error?.Message);
        var outputs = document.Cells[0].Outputs;
        Assert.Equal(["stdout", "stderr"], outputs.Take(2).Select(output => (string)output!["name"]!));
        Assert.Equal("[\"a\\n\",\"b\"]", outputs[0]!["text"]!.ToJsonString());
        Assert.Equal("execute_result", (string)outputs[2]!["output_type"]!);
        Assert.Equal("<i>x</i>", (string)outputs[2]!["data"]!["text/html"]![0]!);
        Assert.Equal("iVBORw0KGgo=", (string)document.Cells[1].Outputs[0]!["data"]!["image/png"]!);
        Assert.Equal([1, 2], document.Cells.Select(cell => cell.ExecutionCount));
        Assert.Equal(1, (int)JsonNode.Parse(document.ToJson())!["metadata"]!["custom"]!);
    }

    [Fact]
    public async Task ReadingAndWritingChangesNothing()
    {
        var figure = new JsonObject { ["output_type"] = "display_data", ["data"] = new JsonObject { ["image/png"] = "AAAA", ["application/json"] = new JsonObject { ["a"] = 1 } }, ["metadata"] = new JsonObject() };
        var (raw, picture, code) = (NotebookFiles.Cell("raw", "text"), NotebookFiles.Cell("markdown", "a\nb"), NotebookFiles.Cell("code", "1", "kept"));
        picture["attachments"] = new JsonObject { ["i.png"] = new JsonObject { ["image/png"] = "AAAA" } };
        code["outputs"]!.AsArray().Add((JsonNode)figure);
        var text = NotebookDocument.Parse(NotebookFiles.Json(raw, picture, code), "n").ToJson();
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(NotebookFiles.Json((JsonObject)raw.DeepClone(), (JsonObject)picture.DeepClone(), (JsonObject)code.DeepClone())), JsonNode.Parse(text)));
        Assert.Equal(text, NotebookDocument.Parse(text, "n").ToJson());
        foreach (var lesson in Lesson.All)
        {
            Assert.True(JsonNode.DeepEquals(JsonNode.Parse(await File.ReadAllTextAsync(lesson.File)), JsonNode.Parse(NotebookDocument.Load(lesson.File).ToJson())));
        }
    }

    [Fact]
    public async Task CellsRunInTheirLanguage()
    {
        var html = NotebookFiles.Cell("code", "<i>x</i>");
        html["metadata"]!["polyglot_notebook"] = new JsonObject { ["kernelName"] = "html" };
        var other = NotebookFiles.Cell("code", "print(1)");
        other["metadata"]!["polyglot_notebook"] = new JsonObject { ["kernelName"] = "python" };
        var document = NotebookDocument.Parse(NotebookFiles.Json(html, NotebookFiles.Cell("raw", "no code"), other), "n");
        var result = await new NotebookRunner(Environment.CurrentDirectory).RunAsync(document);
        Assert.Equal("<i>x</i>", (string)document.Cells[0].Outputs[0]!["data"]!["text/html"]![0]!);
        Assert.Contains("The cell is in python", result.Error?.Message, StringComparison.Ordinal);
    }

    // Editors keep a cell's language, and the notebook's, in different places.
    [Theory]
    [InlineData("{}", "{}", "csharp")]
    [InlineData("{\"kernelspec\":{\"name\":\".net-csharp\",\"language\":\"C#\"}}", "{}", "C#")]
    [InlineData("{\"kernelspec\":{\"name\":\"python3\",\"language\":\"python\"}}", "{}", "python")]
    [InlineData("{\"kernelspec\":{\"name\":\"python3\",\"display_name\":\"Python 3\"}}", "{}", "python3")]
    [InlineData("{\"kernelspec\":{\"name\":\".net-fsharp\"}}", "{}", "fsharp")]
    [InlineData("{\"kernelspec\":{\"name\":\"regcache-csharp\"}}", "{}", "csharp")]
    [InlineData("{\"language_info\":{\"name\":\"julia\"}}", "{}", "julia")]
    [InlineData("{\"polyglot_notebook\":{\"kernelInfo\":{\"defaultKernelName\":\"fsharp\"}},\"kernelspec\":{\"language\":\"C#\"}}", "{}", "fsharp")]
    [InlineData("{\"kernelspec\":{\"language\":\"C#\"}}", "{\"vscode\":{\"languageId\":\"fsharp\"}}", "fsharp")]
    [InlineData("{\"kernelspec\":{\"language\":\"C#\"}}", "{\"vscode\":{\"languageId\":\"dotnet-interactive.html\"}}", "html")]
    [InlineData("{\"kernelspec\":{\"language\":\"C#\"}}", "{\"vscode\":{\"languageId\":\"polyglot-notebook\"}}", "C#")]
    [InlineData("{\"kernelspec\":{\"language\":\"C#\"}}", "{\"dotnet_interactive\":{\"language\":\"markdown\"}}", "markdown")]
    [InlineData("{\"kernelspec\":{\"language\":\"python\"}}", "{\"polyglot_notebook\":{\"kernelName\":\"csharp\"}}", "csharp")]
    [InlineData("{\"kernelspec\":{\"language\":\"C#\"}}", "{\"polyglot_notebook\":{\"kernelName\":\"sql-db\"},\"vscode\":{\"languageId\":\"csharp\"}}", "sql-db")]
    [InlineData("{\"kernelspec\":7,\"language_info\":{\"name\":[]}}", "{\"vscode\":{\"languageId\":null}}", "csharp")]
    public void ACellsLanguageIsWhereEditorsKeepIt(string notebook, string cell, string expected)
    {
        var json = new JsonObject
        {
            ["cells"] = new JsonArray(new JsonObject { ["cell_type"] = "code", ["metadata"] = JsonNode.Parse(cell), ["source"] = "1", ["outputs"] = new JsonArray() }),
            ["metadata"] = JsonNode.Parse(notebook),
            ["nbformat"] = 4,
            ["nbformat_minor"] = 5,
        };
        Assert.Equal(expected, NotebookDocument.Parse(json.ToJsonString(), "n").Cells[0].Language);
    }

    [Fact]
    public async Task NotebooksInOtherLanguagesAreRefusedBeforeAnythingRuns()
    {
        using var folder = new TemporaryFolder();
        var other = NotebookFiles.Cell("code", "let x = 1");
        other["metadata"]!["polyglot_notebook"] = new JsonObject { ["kernelName"] = "fsharp" };
        await File.WriteAllTextAsync(folder["good.ipynb"], NotebookFiles.Code("1 + 1"));
        await File.WriteAllTextAsync(folder["other.ipynb"], NotebookFiles.Json(NotebookFiles.Cell("markdown", "# F#"), NotebookFiles.Cell("code", "1"), other));
        var options = new NotebookRunOptions { Files = [folder["good.ipynb"], folder["other.ipynb"]], OutputFolder = folder["out"] };
        var error = await Assert.ThrowsAsync<UserException>(() => NotebookCommands.RunAsync(options, TextWriter.Null));
        Assert.Equal(
            $"Code cell 2 of {folder["other.ipynb"]} is in fsharp, which the kit does not run; code cells may be in C#, HTML, Markdown or JavaScript.", error.Message);
        Assert.False(Directory.Exists(folder["out"]));
    }

    [Fact]
    public async Task ACellThatEndsTheProgramFailsAndTheNextNotebookRuns()
    {
        using var folder = new TemporaryFolder();
        await File.WriteAllTextAsync(folder["exit.ipynb"], NotebookFiles.Code("Console.Write(\"kept\");", "Environment . Exit(3);", "2"));
        await File.WriteAllTextAsync(folder["next.ipynb"], NotebookFiles.Code("1 + 1"));
        var log = new StringWriter();
        Assert.Equal(1, await NotebookCommands.RunAsync(new() { Files = [folder["exit.ipynb"], folder["next.ipynb"]], OutputFolder = folder["out"] }, log));
        Assert.Contains("code cell 2, line 1 failed: The cell asked to end the program (Environment.Exit(3))", log.ToString(), StringComparison.Ordinal);
        var cells = NotebookDocument.Load(folder["out", "exit.ipynb"]).Cells;
        Assert.Equal("kept", NotebookDocument.Text(cells[0].Outputs[0]!["text"]));
        Assert.Equal("error", (string)cells[1].Outputs[0]!["output_type"]!);
        Assert.Empty(cells[2].Outputs);
        Assert.Single(NotebookDocument.Load(folder["out", "next.ipynb"]).Cells[0].Outputs);
    }

    // A library may end the process; the cell's own text does not show it.
    [Fact]
    public async Task OutputsAreKeptWhenTheProcessEnds()
    {
        using var folder = new TemporaryFolder();
        const string code = "Console.WriteLine(\"kept\");\nvar end = typeof(Environment).GetMethod(\"Exit\");\nend.Invoke(null, new object[] { 0 });";
        await File.WriteAllTextAsync(folder["exit.ipynb"], NotebookFiles.Code("6 * 7", code, "2"));
        var (exitCode, _, log) = ExternalProcess.Run(ExternalProcess.Regcache, ["notebook", "run", folder["exit.ipynb"], "--out", folder["out"]]);
        Assert.Equal(1, exitCode);
        Assert.Contains("code cell 2 failed: Code that the cell called ended the program", log, StringComparison.Ordinal);
        var cells = NotebookDocument.Load(folder["out", "exit.ipynb"]).Cells;
        Assert.Equal("42", NotebookDocument.Text(cells[0].Outputs[0]!["data"]!["text/plain"]));
        Assert.Equal(["kept\n", ""], cells[1].Outputs.Select(output => NotebookDocument.Text(output!["text"])));
        Assert.Equal("error", (string)cells[1].Outputs[1]!["output_type"]!);
    }

    [Fact]
    public async Task TheFirstFailureStopsTheRun()
    {
        using var folder = new TemporaryFolder();
        await File.WriteAllTextAsync(folder["n.ipynb"], NotebookFiles.Code("var x = 1;", "\nthrow new Exception(\"bad\");", "x"));
        var before = await File.ReadAllTextAsync(folder["n.ipynb"]);
        var log = new StringWriter();
        Assert.Equal(1, await NotebookCommands.RunAsync(new NotebookRunOptions { Files = [folder["n.ipynb"]] }, log));
        Assert.Contains("code cell 2, line 2 failed: bad", log.ToString(), StringComparison.Ordinal);
        Assert.Equal(before, await File.ReadAllTextAsync(folder["n.ipynb"]));
        Assert.Equal(1, await NotebookCommands.RunAsync(new NotebookRunOptions { Files = [folder["n.ipynb"]], OutputFolder = folder["out"] }, log));
        var kept = NotebookDocument.Load(folder["out", "n.ipynb"]);
        Assert.Equal("error", (string)kept.Cells[1].Outputs[0]!["output_type"]!);
        Assert.Null(kept.Cells[2].ExecutionCount);
    }

    [Fact]
    public async Task ACellMayNotRunLongerThanAllowed()
    {
        var document = NotebookDocument.Parse(NotebookFiles.Code("while (true) { }"), "test");
        var result = await new NotebookRunner(Environment.CurrentDirectory).RunAsync(document, TimeSpan.FromSeconds(3));
        Assert.Equal(("Timeout", 1), (result.Error?.Name, result.FailedCell));
    }

    [Fact]
    public async Task ParametersFollowTheTaggedCellWithItsTypes()
    {
        using var folder = new TemporaryFolder();
        var cells = NotebookFiles.Json(
            NotebookFiles.Cell("code", "int images = 64;\nvar name = \"a\";\ndouble rate = 1;\nvar on = false;", "parameters"),
            NotebookFiles.Cell("code", "$\"{images} {name} {rate} {on}\""));
        await File.WriteAllTextAsync(folder["n.ipynb"], cells);
        var options = new NotebookRunOptions
        {
            Files = [folder["n.ipynb"]],
            OutputFolder = folder["out"],
            Parameters = new Dictionary<string, string> { ["images"] = "8", ["name"] = "say \"hi\"\\", ["rate"] = "0.5", ["on"] = "true" },
        };
        Assert.Equal(0, await NotebookCommands.RunAsync(options, TextWriter.Null));
        var document = NotebookDocument.Load(folder["out", "n.ipynb"]);
        Assert.Equal(["injected-parameters"], document.Cells[1].Tags);
        Assert.Equal("8 say \"hi\"\\ 0.5 True", (string)document.Cells[2].Outputs[0]!["data"]!["text/plain"]![0]!);

        // The result can be run again with other values.
        NotebookParameters.Apply(document, "n", new Dictionary<string, string> { ["images"] = "9" });
        Assert.Equal(["parameters", "injected-parameters", ""], document.Cells.Select(cell => cell.Tags.FirstOrDefault("")));
        Assert.Equal("int images = 9;", document.Cells[1].Source);
    }

    [Theory]
    [InlineData("width", "1", "images")]
    [InlineData("images", "many", "int")]
    [InlineData("images", "1; evil()", "int")]
    public void ParametersThatDoNotFitAreRefused(string name, string value, string part)
    {
        var document = NotebookDocument.Parse(NotebookFiles.Json(NotebookFiles.Cell("code", "int images = 64;", "parameters")), "n");
        var error = Assert.Throws<UserException>(() =>
            NotebookParameters.Apply(document, "n", new Dictionary<string, string> { [name] = value }));
        Assert.Contains(part, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "JSON")]
    [InlineData("#!meta\n\n{}\n\n#!csharp\n\n1+1\n", ".dib; save it as .ipynb")]
    [InlineData("[]", "nbformat")]
    [InlineData("{\"nbformat\":3}", "format 3")]
    [InlineData("{\"nbformat\":4}", "cells")]
    [InlineData("{\"nbformat\":4,\"cells\":[{\"cell_type\":\"code\"}]}", "cell 1")]
    [InlineData("{\"nbformat\":4,\"cells\":[7]}", "cell 1")]
    public void WhatIsNoNotebookIsRefused(string json, string part) =>
        Assert.Contains(part, Assert.Throws<UserException>(() => NotebookDocument.Parse(json, "file")).Message, StringComparison.Ordinal);

    [Fact]
    public async Task ThePageHoldsEverything()
    {
        using var folder = new TemporaryFolder();
        var library = folder["plotly.js"];
        await File.WriteAllTextAsync(library, "window.Plotly = { newPlot: function () {} };");
        var chart = "#r \"XPlot.Plotly\"\nusing XPlot.Plotly;\nChart.Plot(new Scatter { x = new[] { 1, 2 }, y = new[] { 3, 4 } }, new Layout.Layout { title = \"<!-- </script><b>\" })";
        var document = NotebookDocument.Parse(
            NotebookFiles.Json(NotebookFiles.Cell("markdown", "# Title\n\n$x^2$"), NotebookFiles.Cell("code", chart), NotebookFiles.Cell("code", chart), NotebookFiles.Cell("code", "\"<script>\"")), "n");
        var result = await new NotebookRunner(Environment.CurrentDirectory).RunAsync(document);
        Assert.True(result.Succeeded, result.Error?.Message);
        var page = NotebookPage.Write(document, "a <title>", library);
        Assert.Equal(1, Count(page, "class=\"regcache-plotly\""));
        Assert.Equal(2, Count(page, "Plotly.newPlot("));
        Assert.DoesNotContain("</script><b>", page, StringComparison.Ordinal);
        Assert.Contains("<\\!-- <\\/script><b>", page, StringComparison.Ordinal);
        Assert.DoesNotContain("cdn.plot.ly", page, StringComparison.Ordinal);
        Assert.Contains("<title>a &lt;title&gt;</title>", page, StringComparison.Ordinal);
        Assert.Contains("<pre>&lt;script&gt;</pre>", page, StringComparison.Ordinal);
        Assert.Contains("<h1 id=\"title\">Title</h1>", page, StringComparison.Ordinal);
    }

    private static int Count(string text, string part) => text.Split(part).Length - 1;
}
