using System.Net;
using System.Net.Sockets;

namespace RegCache.Lab.Tests.Notebooks;

/// <summary>Debian's Jupyter Notebook, on this machine, with the kit's kernel and a copy of a lesson.</summary>
internal sealed class JupyterServer : IDisposable
{
    private const string Token = "a-token-for-a-test";
    private readonly TemporaryFolder _folder = new();
    private readonly ExternalProcess _process;
    private readonly int _port = FreePort();

    public JupyterServer(Lesson lesson)
    {
        Directory.CreateDirectory(_folder["notebooks"]);
        File.Copy(lesson.File, _folder["notebooks", lesson.Name + ".ipynb"]);
        File.CreateSymbolicLink(_folder["artifacts"], Path.Combine(Goldens.RepositoryRoot, "artifacts"));
        var (exitCode, _, error) = ExternalProcess.Run(ExternalProcess.Regcache, ["notebook", "install"], ("JUPYTER_DATA_DIR", _folder["data"]));
        Assert.True(exitCode == 0, error);
        _process = ExternalProcess.Start(
            Tools.Python,
            [
                "-m", "notebook", "--no-browser", "--ip=127.0.0.1", $"--port={_port}", "--port-retries=0", $"--notebook-dir={_folder.Root}",
                .. Environment.IsPrivilegedProcess ? ["--allow-root"] : Array.Empty<string>(),
            ],
            ("JUPYTER_TOKEN", Token), ("JUPYTER_DATA_DIR", _folder["data"]), ("JUPYTER_CONFIG_DIR", _folder["config"]), ("JUPYTER_RUNTIME_DIR", _folder["run"]));
        Page = $"http://127.0.0.1:{_port}/notebooks/notebooks/{lesson.Name}.ipynb?token={Token}";
    }

    /// <summary>The address of the lesson's page.</summary>
    public string Page { get; }

    /// <summary>Waits until the server answers.</summary>
    public async Task WaitAsync()
    {
        using var client = new HttpClient(new HttpClientHandler { UseCookies = false });
        for (var patience = 0; patience < 600; patience++)
        {
            try
            {
                using var answer = await client.GetAsync($"http://127.0.0.1:{_port}/api/status?token={Token}");
                if (answer.IsSuccessStatusCode)
                {
                    using var refused = await client.GetAsync($"http://127.0.0.1:{_port}/api/status");
                    Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);
                    return;
                }
            }
            catch (HttpRequestException)
            {
                // Not yet.
            }

            await Task.Delay(200);
        }

        Assert.Fail($"Jupyter does not start: {_process.Error}");
    }

    public void Dispose()
    {
        // Ends the kernels, too.
        _process.Dispose();
        _folder.Dispose();
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
