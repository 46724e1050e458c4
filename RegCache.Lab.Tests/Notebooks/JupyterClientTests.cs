using RegCache.Lab.Kernel.Notebooks;
using RegCache.Lab.Tests.House;

namespace RegCache.Lab.Tests.Notebooks;

/// <summary>Jupyter's own programs with the kernel as a process of its own.</summary>
[Collection(NotebookTests.Name)]
public sealed class JupyterClientTests
{
    [JupyterFact]
    public void Nbconvert_executes_a_notebook()
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
    public void A_client_interrupts_restarts_and_ends_the_kernel()
    {
        using var folder = Installed();
        File.WriteAllText(folder["client.py"], """
            import time, jupyter_client
            manager, client = jupyter_client.manager.start_new_kernel(kernel_name='.net-csharp', startup_timeout=120)
            def reply_to(message):
                while True:
                    reply = client.get_shell_msg(timeout=120)
                    if reply['parent_header']['msg_id'] == message:
                        return reply['content']
            def run(code):
                return reply_to(client.execute(code))
            assert run('int x = 1;')['status'] == 'ok'
            endless = client.execute('while (true) { }')
            time.sleep(2)
            manager.interrupt_kernel()
            reply = reply_to(endless)
            assert reply['ename'] == 'Interrupted', reply
            assert run('x')['status'] == 'ok'
            assert run('throw new System.Exception("a");')['status'] == 'error'
            manager.restart_kernel()
            client.wait_for_ready(timeout=120)
            assert run('x')['status'] == 'error'
            client.shutdown()
            for _ in range(100):
                if not manager.is_alive(): break
                time.sleep(0.1)
            assert not manager.is_alive()
            print('done')
            """);
        var (exitCode, output, error) = ExternalProcess.Run(
            Tools.Python, [folder["client.py"]], ("JUPYTER_DATA_DIR", folder.Root));
        Assert.True(exitCode == 0 && output.Contains("done", StringComparison.Ordinal), error);
    }

    [Fact]
    public void The_program_runs_a_notebook_and_tells_mistakes_in_one_line()
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
