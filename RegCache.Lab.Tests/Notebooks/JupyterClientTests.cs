using RegCache.Lab.Notebooks.Running;

namespace RegCache.Lab.Tests.Notebooks;

/// <summary>Jupyter's own programs with the kernel as a process of its own.</summary>
[Collection(NotebookTests.Name)]
[Trait("Category", "Slow")]
public sealed class JupyterClientTests
{
    [JupyterFact]
    public void NbconvertExecutesANotebook()
    {
        using var folder = Installed();
        File.WriteAllText(folder["n.ipynb"], NotebookFiles.Code("var x = 21;\nConsole.WriteLine(\"hi\");", "await Task.Delay(1);\n2 * x"));
        var (exitCode, _, error) = ExternalProcess.Run(
            Tools.Python,
            ["-m", "nbconvert", "--to", "notebook", "--execute", "--ExecutePreprocessor.kernel_name=.net-csharp", "--output", "done.ipynb", folder["n.ipynb"]],
            ("JUPYTER_DATA_DIR", folder.Root));
        Assert.True(exitCode == 0, error);
        var done = NotebookDocument.Load(folder["done.ipynb"]);
        Assert.Equal("hi\n", NotebookDocument.Text(done.Cells[0].Outputs[0]!["text"]));
        Assert.Equal("42", NotebookDocument.Text(done.Cells[1].Outputs[0]!["data"]!["text/plain"]));
    }

    [JupyterFact]
    public void NbconvertExecutesLessons()
    {
        // The kernel runs cells by the engine of the headless runner, which runs every lesson; these show outputs of all kinds.
        Lesson[] lessons = [Lesson.Of("00"), Lesson.Of("02"), Lesson.Of("09")];
        using var folder = Installed();
        Directory.CreateDirectory(folder["notebooks"]);
        File.CreateSymbolicLink(folder["artifacts"], Path.Combine(Goldens.RepositoryRoot, "artifacts"));
        foreach (var lesson in lessons)
        {
            lesson.Small().Save(folder["notebooks", lesson.Name + ".ipynb"]);
        }

        var (exitCode, _, error) = ExternalProcess.Run(
            Tools.Python,
            ["-m", "nbconvert", "--to", "notebook", "--execute", "--inplace", "--ExecutePreprocessor.timeout=300", .. lessons.Select(lesson => folder["notebooks", lesson.Name + ".ipynb"])],
            ("JUPYTER_DATA_DIR", folder.Root));
        Assert.True(exitCode == 0, error);
        foreach (var lesson in lessons)
        {
            var done = NotebookDocument.Load(folder["notebooks", lesson.Name + ".ipynb"]);
            Assert.Equal(Lesson.Kinds(NotebookDocument.Load(lesson.File)), Lesson.Kinds(done));
            Assert.Single(done.Cells.SelectMany(cell => cell.Outputs), output => output!.ToJsonString().Contains("regcache-plotly", StringComparison.Ordinal));
        }
    }

    [JupyterFact]
    public void TheKernelDoesWhatFrontEndsExpect()
    {
        using var folder = Installed();
        var (exitCode, _, error) = ExternalProcess.Run(
            Tools.Python,
            [Path.Combine(AppContext.BaseDirectory, "Notebooks", "kernel_conformance.py"), ".net-csharp"],
            ("JUPYTER_DATA_DIR", folder.Root));
        Assert.True(exitCode == 0, error);
    }

    [JupyterFact]
    public void AKernelSurvivesWhatCellsDoToIt()
    {
        using var folder = Installed();
        File.WriteAllText(folder["client.py"], """
            import re, time
            from jupyter_client.manager import start_new_kernel
            manager, client = start_new_kernel(kernel_name='.net-csharp', startup_timeout=120)
            def run(code):
                text, kinds = [], []
                def take(message):
                    kinds.append(message['msg_type'])
                    text.append(message['content'].get('text') or (message['content'].get('data') or {}).get('text/plain') or '')
                status = client.execute_interactive(code, timeout=300, output_hook=take)['content']['status']
                return status, ''.join(text)
            assert run('throw new Exception("a");')[0] == 'error'
            status, text = run('var thread = new System.Threading.Thread(() => throw new Exception("in a thread")); thread.Start(); thread.Join();')
            assert status == 'ok' and 'in a thread' in text, text
            assert run('int Deep(int n) => Deep(n + 1) + 1; Deep(0)')[0] == 'error'
            status, text = run('for (var i = 0; i < 100_000; i++) { Console.WriteLine(new string(\'x\', 99)); }')
            assert status == 'ok' and len(text) == 10_000_000, len(text)
            assert run('#r "TorchSharp"\nusing TorchSharp; var t = torch.ones(1);')[0] == 'ok'
            def resident():
                return int(re.search(r'VmRSS:\s+(\d+)', open(f'/proc/{manager.provisioner.pid}/status').read())[1]) // 1024
            sizes = []
            for cell in range(210):
                status, _ = run('t = torch.zeros(2_000_000); var more = new[] { torch.ones(1_000_000), torch.ones(500_000) }; more[0].sum().item<float>()')
                assert status == 'ok'
                if cell % 50 == 9:
                    sizes.append(resident())
            assert sizes[-1] - sizes[0] < 150, sizes
            assert run('1 + 1') == ('ok', '2')
            client.stop_channels()
            manager.shutdown_kernel(now=True)
            print('done')
            """);
        var (exitCode, output, error) = ExternalProcess.Run(Tools.Python, [folder["client.py"]], ("JUPYTER_DATA_DIR", folder.Root));
        Assert.True(exitCode == 0 && output.Contains("done", StringComparison.Ordinal), error);
    }

    [Fact]
    public void TheProgramRunsANotebookAndTellsMistakesInOneLine()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["n.ipynb"], NotebookFiles.Code("1 + 1"));
        Assert.Equal(0, ExternalProcess.Run(ExternalProcess.Regcache, ["notebook", "run", folder["n.ipynb"], "--out", folder["out"], "--html"]).ExitCode);
        Assert.Contains("<pre>2</pre>", File.ReadAllText(folder["out", "n.html"]), StringComparison.Ordinal);
        var (exitCode, _, error) = ExternalProcess.Run(ExternalProcess.Regcache, ["notebook", "run", folder["missing.ipynb"]]);
        Assert.Equal(2, exitCode);
        Assert.Single(error.Trim().Split('\n'));
        Assert.Equal(2, ExternalProcess.Run(ExternalProcess.Regcache, ["notebook", "kernel", "--connection-file", folder["none.json"]]).ExitCode);
    }

    private static TemporaryFolder Installed()
    {
        var folder = new TemporaryFolder();
        var (exitCode, _, error) = ExternalProcess.Run(ExternalProcess.Regcache, ["notebook", "install"], ("JUPYTER_DATA_DIR", folder.Root));
        Assert.True(exitCode == 0, error);
        return folder;
    }
}
