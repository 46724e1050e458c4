using System.Diagnostics;
using RegCache.Lab.Notebooks.Scripting;

namespace RegCache.Lab.Tests.Notebooks;

[Collection(NotebookTests.Name)]
[Trait("Category", "Slow")]
public sealed class NotebookSessionTests : IDisposable
{
    private readonly NotebookSession _session = new(Environment.CurrentDirectory);
    private int _cell;

    public void Dispose() => _session.Dispose();

    [Fact]
    public async Task CellsShareVariablesFunctionsAndTypes()
    {
        await Run("using System.Globalization;\nvar list = new List<int> { 1 };\nint Twice(int n) => 2 * n;\nrecord Point(int X);");
        await Run("list.Add(Twice(21));");
        Assert.Equal("42 Point { X = 3 } True", (await Run("$\"{list[1]} {new Point(3)} {CultureInfo.InvariantCulture is not null}\"")).ResultText);
    }

    [Fact]
    public async Task AwaitAndUsingDeclarationsStandAtTheTop()
    {
        var output = await Run("using var stream = new MemoryStream(new byte[3]);\nawait Task.Delay(1);\nstream.Length");
        Assert.Equal("3", output.ResultText);
        Assert.Equal("False", (await Run("stream.CanRead")).ResultText);
        Assert.Equal("b", (await Run("using Alias = System.Text.StringBuilder;\nusing (var other = new MemoryStream()) { other.WriteByte(1); }\nnew Alias(\"b\").ToString()")).ResultText);
    }

    [Fact]
    public async Task AStatementHasNoResult()
    {
        Assert.Empty((await Run("var x = 1;")).Shown);
        Assert.Empty((await Run("Console.Write(x)")).Shown);
    }

    [Fact]
    public async Task BothStreamsAreCapturedAndDisplaysKeepTheirPlace()
    {
        var output = await Run("Console.Write(\"out\"); Console.Error.Write(\"err\"); var d = display(\"one\"); d.Update(\"two\");");
        Assert.Equal(("out", "err"), (output.Out, output.Error));
        Assert.Equal(["display", "update"], output.Shown.Select(shown => shown.Kind));
        Assert.Equal(output.Shown[0].Id, output.Shown[1].Id);
        Assert.Equal("two", output.Shown[1].Content.Formats["text/plain"]);
    }

    [Fact]
    public async Task OutputComesWhileTheCellRuns()
    {
        var output = new RecordedOutput();
        var running = _session.RunAsync("Console.WriteLine(\"now\"); await Task.Delay(2000);", 1, output);
        var clock = Stopwatch.StartNew();
        while (output.Out.Length == 0 && clock.ElapsedMilliseconds < 60_000)
        {
            await Task.Delay(10);
        }

        Assert.Equal("now\n", output.Out.ReplaceLineEndings("\n"));
        Assert.False(running.IsCompleted);
        Assert.True((await running).Succeeded);
    }

    [Theory]
    [InlineData("var a = 1;\n\nvar b = missing;", "CompilationError", 3)]
    [InlineData("var a = 1;\n\nthrow new InvalidOperationException(\"boom\");", "InvalidOperationException", 3)]
    [InlineData("int F(int n)\n{\n    while (true)\n    {\n        n /= 0;\n    }\n}\nF(1)", "DivideByZeroException", 5)]
    [InlineData("int F(int n) =>\n    n / 0 *\n    1;\nF(1)", "DivideByZeroException", 2)]
    [InlineData("#!csharp\n\nawait Task.Run(() =>\n{\n    throw new ArgumentException(\"x\");\n});", "ArgumentException", 5)]
    public async Task ErrorsNameTheLineOfTheCell(string code, string name, int line)
    {
        var error = (await _session.RunAsync(code, 7, new RecordedOutput())).Error;
        Assert.Equal((name, line), (error?.Name, error?.Line));
    }

    [Fact]
    public async Task ACellThatFailsLeavesTheSessionAsItWas()
    {
        await Run("var kept = 1;");
        await _session.RunAsync("var kept = 2; nonsense", 2, new RecordedOutput());
        await _session.RunAsync("throw new Exception();", 3, new RecordedOutput());
        Assert.Equal("1", (await Run("kept")).ResultText);
    }

    [Fact]
    public async Task MagicCommandsShowHtmlMarkdownAndTheTime()
    {
        var output = await Run("#!html\n<b>bold</b>\n#!markdown\n*slanted*\n#!csharp\n#!time\nvar x = 1;");
        Assert.Equal("<b>bold</b>", output.Shown[0].Content.Formats["text/html"]);
        Assert.Equal("*slanted*", output.Shown[1].Content.Formats["text/markdown"]);
        Assert.StartsWith("Wall time:", output.Shown[2].Content.Formats["text/plain"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task AnUnknownMagicCommandIsNamed()
    {
        var error = (await _session.RunAsync("1\n#!fsharp\n2", 1, new RecordedOutput())).Error;
        Assert.Equal(2, error?.Line);
        Assert.Contains("#!fsharp", error?.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task FilesAreLoadedFromTheNotebooksFolder()
    {
        using var folder = new TemporaryFolder();
        await File.WriteAllTextAsync(folder["more.csx"], "int FromFile(int n)\n{\n    for (var i = 0; i < 3; i++) n++;\n    return n;\n}");
        using var session = new NotebookSession(folder.Root);
        var output = new RecordedOutput();
        var result = await session.RunAsync("#load \"more.csx\"\nFromFile(4)", 1, output);
        Assert.True(result.Succeeded, result.Error?.Message);
        Assert.Equal("7", output.ResultText);
    }

    [Theory]
    [InlineData("#r \"no/such.dll\"", "no/such.dll")]
    [InlineData("#r \"nuget: \"", "nuget: NAME, VERSION")]
    public async Task AReferenceThatDoesNotExistIsNamed(string code, string part)
    {
        var error = (await _session.RunAsync(code + "\n1", 1, new RecordedOutput())).Error;
        Assert.Contains(part, error?.Message, StringComparison.Ordinal);
        Assert.Equal(1, error?.Line);
    }

    [Fact]
    public async Task TheKernelsOwnAssembliesAreNotLoadedTwice()
    {
        var output = await Run($"#r \"{typeof(UserException).Assembly.Location}\"\nRegCache.Lab.Tests.Notebooks.TypeProbe.Seen = typeof(RegCache.Lab.UserException);", typeof(TypeProbe));
        Assert.Empty(output.Error);
        Assert.Same(typeof(UserException), TypeProbe.Seen);
    }

    [Theory]
    [InlineData("while (true) { }")]
    [InlineData("for (;;) ;")]
    [InlineData("int F(int n) { do { n++; } while (true); }\nF(0)")]
    [InlineData("void G() { again: goto again; }\nG();")]
    [InlineData("while (true) { try { while (true) { } } catch (Exception) { } }")]
    [InlineData("System.Threading.Thread.Sleep(100000);")]
    [InlineData("await Task.Delay(100000);")]
    [InlineData("Parallel.For(0, 4, i => { while (true) { } });")]
    [InlineData("await Task.Run(() => { while (true) { } });")]
    public async Task AnEndlessCellStopsAndTheSessionLives(string code)
    {
        await Run("var before = 5;");
        using var interrupt = new CancellationTokenSource();
        var running = _session.RunAsync(code, 2, new RecordedOutput(), interrupt.Token);
        await Task.Delay(1500);
        Assert.False(running.IsCompleted);
        await interrupt.CancelAsync();
        var result = await running.WaitAsync(TimeSpan.FromSeconds(60));
        Assert.True(result.WasInterrupted);
        Assert.Equal("5", (await Run("before")).ResultText);
    }

    [Fact]
    public async Task WhatAnInterruptedCellStartedStopsTooAndLaterLoopsRun()
    {
        await Run("static class Turns { public static long Count; }\nTask endless = null;");
        using var interrupt = new CancellationTokenSource();
        var running = _session.RunAsync("endless = Task.Run(() => { while (true) { Turns.Count++; } }); await Task.Delay(100000);", 2, new RecordedOutput(), interrupt.Token);
        await Task.Delay(1500);
        await interrupt.CancelAsync();
        Assert.True((await running).WasInterrupted);
        Assert.Equal("True 3", (await Run("try { await endless; } catch (OperationCanceledException) { }\nvar n = 0; while (n < 3) n++;\n$\"{endless.IsCanceled || endless.IsFaulted} {n}\"")).ResultText);
    }

    [Fact]
    public async Task EndlessRecursionAndAFailingThreadAreErrorsOfTheCell()
    {
        var error = (await _session.RunAsync("int F(int n) => F(n + 1) + 1;\nF(0)", 1, new RecordedOutput())).Error;
        Assert.Equal("InsufficientExecutionStackException", error?.Name);
        var output = await Run("var t = new System.Threading.Thread(() => throw new Exception(\"from a thread\")); t.Start(); t.Join(); await Task.Delay(200);");
        Assert.Contains("from a thread", output.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task TenMegabytesArriveWhole()
    {
        var output = await Run("for (var i = 0; i < 100_000; i++) Console.Write(new string('x', 100));");
        Assert.Equal(10_000_000, output.Out.Length);
    }

    [Fact]
    public async Task InputIsAskedOfTheFrontEnd()
    {
        var output = new RecordedOutput { Answer = "blue" };
        await _session.RunAsync("Console.ReadLine()", 1, output);
        Assert.Equal("blue", output.ResultText);
    }

    [Theory]
    [InlineData("var held = new RegCache.Lab.Tests.Notebooks.Tracked();")]
    [InlineData("var held = new RegCache.Lab.Tests.Notebooks.Tracked(); var seen = new[] { 1 }.Select(n => held.ToString()).ToArray();")]
    public async Task ACellRunAgainGivesUpWhatItHeld(string code)
    {
        await Run("1", typeof(Tracked));
        var alive = Tracked.Alive;
        for (var turn = 0; turn < 20; turn++)
        {
            await Run(code);
            await Run("held.ToString()");
        }

        Assert.True(Tracked.Alive - alive <= 3, $"{Tracked.Alive - alive} objects are kept.");
    }

    [Fact]
    public async Task CellsChangedManyTimesLeaveTheOthersAsTheyAre()
    {
        await Run("using System.Globalization;\nvar first = 1;");
        await Run("int Next() => ++first;\nrecord Pair(int A, int B);");
        for (var turn = 0; turn < 30; turn++)
        {
            await Run($"var changed = new Pair({turn}, first); var last = changed;");
            await Run($"using System.Globalization;\nvar culture{turn % 3} = CultureInfo.InvariantCulture; var sum = changed.A + Next();");
        }

        Assert.Equal("Pair { A = 29, B = 30 } 60 31 True", (await Run("$\"{last} {sum} {first} {culture2 is CultureInfo}\"")).ResultText);
    }

    [Fact]
    public async Task AFunctionKeepsTheVariableThatItWasWrittenFor()
    {
        await Run("var list = new List<int> { 1, 2 };\nint Count() => list.Count;\nvar other = 1;");
        await Run("var list = new List<int>();");
        Assert.Equal("2", (await Run("Count()")).ResultText);
    }

    [Theory]
    [InlineData("Console.WriteLi", "WriteLine")]
    [InlineData("var text = \"a\"; text.Subs", "Substring")]
    [InlineData("earl", "earlier")]
    [InlineData("earlier.Ad", "Add")]
    [InlineData("fore", "foreach")]
    [InlineData("new List<int>().Wher", "Where")]
    public async Task CompletionKnowsTypesVariablesAndMembers(string code, string expected)
    {
        await Run("var earlier = new List<int>();");
        var found = _session.Complete(code, code.Length);
        Assert.Contains(expected, found.Items.Select(item => item.Text));
        Assert.Equal(code.Length, found.End);
    }

    [Fact]
    public async Task InspectionShowsTheDeclaration()
    {
        await Run("int answer = 42;");
        Assert.Contains("int answer", _session.Inspect("answer + 1", 3), StringComparison.Ordinal);
        Assert.Contains("string.Substring(int startIndex)", _session.Inspect("\"\".Substring(1)", 5), StringComparison.Ordinal);
        Assert.Null(_session.Inspect("nothing", 2));
    }

    [Theory]
    [InlineData("1 + 1", Completeness.Complete)]
    [InlineData("foreach (var i in new[] { 1 })\n{", Completeness.Incomplete)]
    [InlineData("var x = (1,", Completeness.Incomplete)]
    [InlineData("/* open", Completeness.Incomplete)]
    [InlineData("int int x", Completeness.Invalid)]
    [InlineData(")", Completeness.Invalid)]
    public void CompletenessOfCells(string code, Completeness expected) => Assert.Equal(expected, NotebookSession.IsComplete(code));

    private async Task<RecordedOutput> Run(string code, Type? needed = null)
    {
        if (needed is not null)
        {
            code = $"#r \"{needed.Assembly.Location}\"\n{code}";
        }

        var output = new RecordedOutput();
        var result = await _session.RunAsync(code, ++_cell, output);
        Assert.True(result.Succeeded, string.Join('\n', result.Error?.Traceback ?? []));
        return output;
    }
}
