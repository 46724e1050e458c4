using System.Diagnostics;
using System.Net.NetworkInformation;
using System.Text.Json.Nodes;
using RegCache.Lab.Notebooks.Jupyter;

namespace RegCache.Lab.Tests.Notebooks;

[Collection(NotebookTests.Name)]
[Trait("Category", "Slow")]
public sealed class KernelProtocolTests
{
    [Fact]
    public void RequestsWithoutCodeAreAnswered()
    {
        using var client = new KernelClient();
        var info = client.Ask("kernel_info_request", []);
        Assert.Equal("5.3", (string)info["protocol_version"]!);
        Assert.Equal("C#", (string)info["language_info"]!["name"]!);
        Assert.Equal("ok", (string)client.Ask("kernel_info_request", [], onControl: true)["status"]!);
        Assert.Equal("ok", (string)client.Ask("comm_info_request", [])["status"]!);
        Assert.Equal(client.Connection.ShellPort, (int)client.Ask("connect_request", [])["shell_port"]!);
        Assert.Equal("error", (string)client.Ask("unheard_of_request", [])["status"]!);
        Assert.Equal([1, 2, 3], client.Beat([1, 2, 3]));
        Assert.Equal("incomplete", (string)client.Ask("is_complete_request", new JsonObject { ["code"] = "if (true) {" })["status"]!);
        var completion = client.Ask("complete_request", new JsonObject { ["code"] = "\"😀\".Leng", ["cursor_pos"] = 8 });
        Assert.Equal("Length", (string)completion["matches"]![0]!);
        Assert.Equal((4, 8), ((int)completion["cursor_start"]!, (int)completion["cursor_end"]!));
        Assert.True((bool)client.Ask("inspect_request", new JsonObject { ["code"] = "Console", ["cursor_pos"] = 3 })["found"]!);
        Assert.False((bool)client.Ask("inspect_request", new JsonObject { ["code"] = "nothing", ["cursor_pos"] = 3 })["found"]!);
    }

    [Fact]
    public void ACellIsBusyShowsAndRests()
    {
        using var client = new KernelClient();
        var (reply, outputs) = client.Run("Console.Write(\"a\"); var d = display(HTML(\"<b>1</b>\")); d.Update(HTML(\"<b>2</b>\")); 6 * 7");
        Assert.Equal(("ok", 1), ((string)reply["status"]!, (int)reply["execution_count"]!));
        Assert.Equal(
            ["status", "execute_input", "stream", "display_data", "update_display_data", "execute_result", "status"],
            outputs.Select(output => output.Type));
        Assert.Equal("42", (string)outputs[5].Content["data"]!["text/plain"]!);
        Assert.Equal(
            (string)outputs[3].Content["transient"]!["display_id"]!, (string)outputs[4].Content["transient"]!["display_id"]!);
    }

    [Fact]
    public void ACellIsInTheLanguageThatItsMetadataName()
    {
        using var client = new KernelClient();
        List<JupyterMessage> Run(string code, string language) => client.Outputs(client.Send(
            "execute_request", new JsonObject { ["code"] = code }, metadata: new JsonObject { ["polyglot_notebook"] = new JsonObject { ["kernelName"] = language } }));
        Assert.Equal("<b>x</b>", (string)Run("<b>x</b>", "html").Single(output => output.Type == "display_data").Content["data"]!["text/html"]!);
        Assert.Equal("2", (string)Run("1 + 1", "csharp").Single(output => output.Type == "execute_result").Content["data"]!["text/plain"]!);
        var refusal = Run("let x = 1", "fsharp").Single(output => output.Type == "error").Content;
        Assert.Contains("The cell is in fsharp, which the kit does not run", (string)refusal["evalue"]!, StringComparison.Ordinal);
    }

    [Fact]
    public void ACellCannotEndTheKernel()
    {
        using var client = new KernelClient();
        client.Run("var kept = 7;");
        var (reply, outputs) = client.Run("Console.Write(\"before\"); Environment.Exit(3);");
        Assert.Contains("Environment.Exit(3)", (string)reply["evalue"]!, StringComparison.Ordinal);
        Assert.Equal("before", (string)outputs.Single(output => output.Type == "stream").Content["text"]!);
        Assert.Equal("7", (string)client.Run("kept").Outputs.Single(output => output.Type == "execute_result").Content["data"]!["text/plain"]!);
    }

    [Fact]
    public void SilenceHistoryAndExpressions()
    {
        using var client = new KernelClient();
        client.Run("var x = 1;");
        var (silent, outputs) = client.Run("Console.Write(x); x", ("silent", true));
        Assert.Equal(1, (int)silent["execution_count"]!);
        Assert.Equal(["status", "status"], outputs.Select(output => output.Type));
        var (unstored, _) = client.Run("x + 1", ("store_history", false));
        Assert.Equal(1, (int)unstored["execution_count"]!);
        var (reply, _) = client.Run("x + 5", ("user_expressions", new JsonObject { ["good"] = "x * 10", ["bad"] = "y" }));
        Assert.Equal("10", (string)reply["user_expressions"]!["good"]!["data"]!["text/plain"]!);
        Assert.Equal("error", (string)reply["user_expressions"]!["bad"]!["status"]!);
        var tail = client.Ask("history_request", new JsonObject { ["hist_access_type"] = "tail", ["n"] = 1, ["output"] = true });
        Assert.Equal("[[1,2,[\"x + 5\",\"6\"]]]", tail["history"]!.ToJsonString(new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }));
        var search = client.Ask("history_request", new JsonObject { ["hist_access_type"] = "search", ["pattern"] = "var*" });
        Assert.Equal("var x = 1;", (string)search["history"]![0]![2]!);
        Assert.Equal(2, client.Ask("history_request", new JsonObject { ["hist_access_type"] = "range", ["start"] = 0 })["history"]!.AsArray().Count);
    }

    [Fact]
    public void AFailureStopsTheCellsThatWait()
    {
        using var client = new KernelClient();
        var failing = client.Send("execute_request", new JsonObject { ["code"] = "await Task.Delay(1000); throw new Exception(\"bad\");" });
        var waiting = client.Send("execute_request", new JsonObject { ["code"] = "1" });
        Assert.Equal("error", (string)client.Reply(failing)["status"]!);
        Assert.Equal("aborted", (string)client.Reply(waiting)["status"]!);
        Assert.Equal("ok", (string)client.Run("1").Reply["status"]!);
        failing = client.Send("execute_request", new JsonObject { ["code"] = "await Task.Delay(1000); throw new Exception(\"bad\");", ["stop_on_error"] = false });
        waiting = client.Send("execute_request", new JsonObject { ["code"] = "1" });
        var error = client.Reply(failing);
        Assert.Equal("ok", (string)client.Reply(waiting)["status"]!);
        Assert.Contains("line 1", error["traceback"]!.ToJsonString(), StringComparison.Ordinal);
    }

    [Fact]
    public void AnInterruptionOvertakesTheCell()
    {
        using var client = new KernelClient();
        client.Run("var kept = 3;");
        var endless = client.Send("execute_request", new JsonObject { ["code"] = "while (true) { }" });
        Thread.Sleep(1500);
        Assert.Equal("ok", (string)client.Ask("interrupt_request", [], onControl: true)["status"]!);
        Assert.Equal("Interrupted", (string)client.Reply(endless)["ename"]!);
        client.Outputs(endless);
        Assert.Equal("3", (string)client.Run("kept").Outputs.Single(output => output.Type == "execute_result").Content["data"]!["text/plain"]!);
    }

    [Fact]
    public void InputIsAskedOverStdin()
    {
        using var client = new KernelClient();
        var asking = client.Send("execute_request", new JsonObject { ["code"] = "Console.ReadLine()", ["allow_stdin"] = true });
        client.AnswerInput("blue");
        Assert.Equal("ok", (string)client.Reply(asking)["status"]!);
        Assert.Contains(client.Outputs(asking), output => output.Type == "execute_result" && (string)output.Content["data"]!["text/plain"]! == "blue");
        Assert.Equal("UserException", (string)client.Run("Console.ReadLine()").Reply["ename"]!);
    }

    [Fact]
    public void BadMessagesAreIgnored()
    {
        using var client = new KernelClient();
        var forged = client.Frames("execute_request", new JsonObject { ["code"] = "RegCache.Lab.Tests.Notebooks.TypeProbe.Seen = typeof(int);" });
        forged[1] = "00"u8.ToArray();
        client.SendRaw(forged);
        var changed = client.Frames("execute_request", new JsonObject { ["code"] = "1" });
        changed[^1] = "{\"code\":\"2\"}"u8.ToArray();
        client.SendRaw(changed);
        client.SendRaw("<IDS|MSG>"u8.ToArray());
        client.SendRaw("x"u8.ToArray(), "<IDS|MSG>"u8.ToArray(), [], [], [], [], []);
        client.SendRaw([.. Enumerable.Repeat(new byte[] { 1 }, 500)]);
        client.SendRaw(new byte[1 << 20]);
        client.SendRaw(client.Signed("{\"msg_type\":\"a\",\"msg_type\":\"b\"}", "{}"));
        client.SendRaw(client.Signed("{\"msg_type\":7}", "{}"));
        client.SendRaw(client.Signed("{\"msg_type\":\"execute_request\"}", "[]"));
        client.SendRaw(client.Signed("{\"msg_type\":\"execute_request\"}", new string('[', 1000)));
        client.SendRaw(client.Signed("\u0001", "\ud800"));
        Assert.Equal("error", (string)client.Ask("execute_request", [])["status"]!);
        Assert.Equal("error", (string)client.Ask("execute_request", new JsonObject { ["code"] = 7 })["status"]!);
        Assert.Equal("ok", (string)client.Ask("complete_request", new JsonObject { ["cursor_pos"] = -5 })["status"]!);
        Assert.Equal("ok", (string)client.Ask("history_request", new JsonObject { ["n"] = "many" })["status"]!);
        var (reply, _) = client.Run("1");
        Assert.Equal(1, (int)reply["execution_count"]!);
    }

    [Fact]
    public void ItListensOnLoopbackOnly()
    {
        using var client = new KernelClient();
        var ports = new[] { client.Connection.ShellPort, client.Connection.IoPubPort, client.Connection.HeartbeatPort };
        var listeners = IPGlobalProperties.GetIPGlobalProperties().GetActiveTcpListeners().Where(end => ports.Contains(end.Port)).ToArray();
        Assert.Equal(ports.Length, listeners.Length);
        Assert.All(listeners, end => Assert.True(System.Net.IPAddress.IsLoopback(end.Address)));
    }

    [Fact]
    public async Task ShutdownEndsItAlsoWhileACellRuns()
    {
        using var client = new KernelClient();
        client.Send("execute_request", new JsonObject { ["code"] = "while (true) { }" });
        await Task.Delay(1500);
        var reply = client.Ask("shutdown_request", new JsonObject { ["restart"] = true }, onControl: true);
        Assert.True((bool)reply["restart"]!);
        await client.Kernel.WaitAsync(TimeSpan.FromSeconds(30));
    }

    [Fact]
    public void PlotsBringTheirLibraryOnceAndAgainWithTheirCell()
    {
        using var client = new KernelClient();
        const string Plot = "#r \"XPlot.Plotly\"\nXPlot.Plotly.Chart.Plot(new XPlot.Plotly.Bar { y = new[] { 1, 2 } })";
        var file = Path.GetTempFileName();
        Environment.SetEnvironmentVariable("REGCACHE_PLOTLY", file);
        try
        {
            var counts = new[] { Plot, Plot + " ", Plot }.Select(code =>
                client.Run(code).Outputs.Count(output => output.Content.ToJsonString().Contains("regcache-plotly", StringComparison.Ordinal)));
            Assert.Equal([1, 0, 1], counts);
        }
        finally
        {
            Environment.SetEnvironmentVariable("REGCACHE_PLOTLY", null);
            File.Delete(file);
        }
    }

    [Fact]
    public void TwoHundredCellsLeaveTheMemoryFlat()
    {
        using var client = new KernelClient();
        var sizes = new List<long>();
        for (var cell = 0; cell < 220; cell++)
        {
            client.Run($"var data = new byte[5_000_000]; Array.Fill(data, (byte)1); int Count() => data.Count(b => b == {cell}); Console.WriteLine(data.Length); {cell}");
            if (cell % 100 == 19)
            {
                GC.Collect();
                using var process = Process.GetCurrentProcess();
                sizes.Add(process.WorkingSet64);
            }
        }

        // 200 cells hold a gigabyte where nothing is released.
        Assert.True(sizes[^1] - sizes[0] < 150_000_000, $"The memory went from {sizes[0] >> 20} to {sizes[^1] >> 20} MB.");
    }

    [Theory]
    [InlineData("not json", "JSON")]
    [InlineData("[]", "object")]
    [InlineData("{}", "transport")]
    [InlineData("{\"transport\":\"ipc\",\"ip\":\"somewhere\"}", "tcp")]
    [InlineData("{\"transport\":\"tcp\",\"ip\":\"0.0.0.0\"}", "loopback")]
    [InlineData("{\"transport\":\"tcp\",\"ip\":\"192.168.1.5\"}", "loopback")]
    [InlineData("{\"transport\":\"tcp\",\"ip\":\"127.0.0.1\",\"signature_scheme\":\"none\",\"key\":\"k\"}", "scheme")]
    [InlineData("{\"transport\":\"tcp\",\"ip\":\"127.0.0.1\",\"key\":\"\"}", "key")]
    [InlineData("{\"transport\":\"tcp\",\"ip\":\"127.0.0.1\",\"key\":\"k\",\"shell_port\":70000}", "shell_port")]
    [InlineData("{\"transport\":\"tcp\",\"ip\":\"127.0.0.1\",\"key\":\"k\",\"shell_port\":\"1\"}", "shell_port")]
    public void BadConnectionFilesAreRefused(string json, string part) =>
        Assert.Contains(part, Assert.Throws<UserException>(() => ConnectionFile.Parse(json, "file")).Message, StringComparison.Ordinal);

    [Fact]
    public async Task APortInUseIsTold()
    {
        using var client = new KernelClient();
        var error = await Assert.ThrowsAsync<UserException>(() => JupyterKernel.RunAsync(client.Connection, CancellationToken.None));
        Assert.Contains("cannot listen", error.Message, StringComparison.Ordinal);
    }
}
