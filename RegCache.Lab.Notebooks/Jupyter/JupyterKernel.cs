using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using RegCache.Lab.Notebooks.Scripting;

namespace RegCache.Lab.Notebooks.Jupyter;

/// <summary>A Jupyter kernel: answers the messages of front ends until one of them shuts it down.</summary>
internal sealed class JupyterKernel : IDisposable
{
    private readonly ConnectionFile _connection;
    private readonly string _sessionId = Guid.NewGuid().ToString("N");
    private readonly NotebookSession _session = new(Environment.CurrentDirectory);
    private readonly ExecuteHandler _execute;
    private readonly JupyterSockets _sockets;
    private readonly Channel<JupyterMessage> _requests = Channel.CreateUnbounded<JupyterMessage>();
    private readonly BlockingCollection<string> _answers = [];
    private readonly TaskCompletionSource _shutdown = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _gate = new();
    private CancellationTokenSource? _running;

    private JupyterKernel(ConnectionFile connection)
    {
        _connection = connection;
        _execute = new ExecuteHandler(_session, Publish, Ask);
        _sockets = new JupyterSockets(connection, Receive);
    }

    /// <summary>Runs until a front end asks for the end, or the one that started the process is gone.</summary>
    /// <exception cref="UserException">An address cannot be used.</exception>
    public static async Task RunAsync(ConnectionFile connection, CancellationToken cancellation)
    {
        using var kernel = new JupyterKernel(connection);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, signal =>
        {
            // Some front ends interrupt by signal; it must not end the process.
            signal.Cancel = true;
            kernel.Interrupt();
        });
        using var parent = new Timer(_ => kernel.EndWithParent(), null, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1));
        await using var stop = cancellation.Register(() => kernel._shutdown.TrySetResult());
        var work = kernel.ServeAsync();
        kernel.PublishStatus("starting", null);
        await Task.WhenAny(kernel._shutdown.Task, work);
        kernel._requests.Writer.TryComplete();
        kernel.Interrupt();
        await work.WaitAsync(TimeSpan.FromSeconds(3), CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public void Dispose()
    {
        _sockets.Dispose();
        _session.Dispose();
        _answers.Dispose();
    }

    private void Receive(JupyterChannel channel, JupyterMessage message)
    {
        switch (channel)
        {
            case JupyterChannel.Control:
                Answer(JupyterChannel.Control, message, AnswerControl);
                break;
            case JupyterChannel.Stdin when message.Type == "input_reply":
                _answers.Add(JupyterMessage.Text(message.Content, "value") ?? string.Empty);
                break;
            case JupyterChannel.Shell:
                _requests.Writer.TryWrite(message);
                break;
        }
    }

    private async Task ServeAsync()
    {
        await foreach (var request in _requests.Reader.ReadAllAsync())
        {
            if (request.Type == "execute_request")
            {
                await ExecuteAsync(request);
            }
            else
            {
                Answer(JupyterChannel.Shell, request, AnswerShell);
            }
        }
    }

    private async Task ExecuteAsync(JupyterMessage request)
    {
        PublishStatus("busy", request);
        var interrupt = new CancellationTokenSource();
        lock (_gate)
        {
            _running = interrupt;
        }

        JsonObject reply;
        try
        {
            reply = await _execute.RunAsync(request, interrupt.Token);
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            // The kernel outlives a mistake of its own.
            reply = KernelReplies.Error(exception.GetType().Name, exception.Message, exception.ToString().Split('\n'));
        }

        lock (_gate)
        {
            _running = null;
        }

        interrupt.Dispose();
        var stops = JupyterMessage.Text(reply, "status") == "error" && JupyterMessage.Flag(request.Content, "stop_on_error", otherwise: true);

        // Taken before the reply: what a front end sends once it knows of the failure is meant.
        var waiting = stops ? TakeWaiting() : [];
        Reply(JupyterChannel.Shell, request, reply);
        PublishStatus("idle", request);
        foreach (var given in waiting)
        {
            Answer(JupyterChannel.Shell, given, message => message.Type == "execute_request" ? _execute.Aborted() : AnswerShell(message));
        }
    }

    private List<JupyterMessage> TakeWaiting()
    {
        var waiting = new List<JupyterMessage>();
        while (_requests.Reader.TryRead(out var request))
        {
            waiting.Add(request);
        }

        return waiting;
    }

    private void Answer(JupyterChannel channel, JupyterMessage request, Func<JupyterMessage, JsonObject?> answer)
    {
        PublishStatus("busy", request);
        JsonObject? reply;
        try
        {
            reply = answer(request);
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            reply = KernelReplies.Error(exception.GetType().Name, exception.Message);
        }

        if (reply is not null && request.Type.EndsWith("_request", StringComparison.Ordinal))
        {
            Reply(channel, request, reply);
        }

        PublishStatus("idle", request);
        if (request.Type == "shutdown_request")
        {
            _shutdown.TrySetResult();
        }
    }

    private JsonObject? AnswerControl(JupyterMessage request)
    {
        if (request.Type != "interrupt_request")
        {
            return AnswerShell(request);
        }

        Interrupt();
        return new JsonObject { ["status"] = "ok" };
    }

    private JsonObject? AnswerShell(JupyterMessage request) => request.Type switch
    {
        "kernel_info_request" => KernelReplies.KernelInfo(),
        "complete_request" => KernelReplies.Complete(_session, request.Content),
        "inspect_request" => KernelReplies.Inspect(_session, request.Content),
        "is_complete_request" => KernelReplies.IsComplete(request.Content),
        "history_request" => _execute.History.Answer(request.Content),
        "comm_info_request" => new JsonObject { ["status"] = "ok", ["comms"] = new JsonObject() },
        "connect_request" => KernelReplies.Connect(_connection),
        "shutdown_request" => Shutdown(request),
        "comm_open" => RefuseComm(request),
        var type => KernelReplies.Error("UnknownMessage", $"The message type {type} is not known."),
    };

    private JsonObject Shutdown(JupyterMessage request)
    {
        var reply = new JsonObject { ["status"] = "ok", ["restart"] = JupyterMessage.Flag(request.Content, "restart", otherwise: false) };
        Publish(request, "shutdown_reply", (JsonObject)reply.DeepClone());
        return reply;
    }

    private JsonObject? RefuseComm(JupyterMessage request)
    {
        Publish(request, "comm_close", new JsonObject { ["comm_id"] = request.Content["comm_id"]?.DeepClone(), ["data"] = new JsonObject() });
        return null;
    }

    private void Interrupt()
    {
        lock (_gate)
        {
            _running?.Cancel();
        }
    }

    private string Ask(JupyterMessage request, string prompt, bool secret)
    {
        while (_answers.TryTake(out _))
        {
            // An answer to a question of a cell that was interrupted.
        }

        var content = new JsonObject { ["prompt"] = prompt, ["password"] = secret };
        _sockets.Send(JupyterChannel.Stdin, JupyterMessage.Create(_sessionId, "input_request", Copy(request.Header), content, request.Identities));
        return _answers.Take(CellRun.Current?.Token ?? CancellationToken.None);
    }

    private void Reply(JupyterChannel channel, JupyterMessage request, JsonObject content) => _sockets.Send(
        channel,
        JupyterMessage.Create(
            _sessionId, request.Type[..^"request".Length] + "reply", Copy(request.Header), content, request.Identities));

    private void Publish(JupyterMessage request, string type, JsonObject content) =>
        _sockets.Send(JupyterChannel.IoPub, JupyterMessage.Create(_sessionId, type, Copy(request.Header), content, [Topic(type)]));

    private void PublishStatus(string state, JupyterMessage? request) => _sockets.Send(
        JupyterChannel.IoPub,
        JupyterMessage.Create(
            _sessionId, "status", request is null ? null : Copy(request.Header), new JsonObject { ["execution_state"] = state }, [Topic("status")]));

    private byte[] Topic(string type) => System.Text.Encoding.UTF8.GetBytes($"kernel.{_sessionId}.{type}");

    private static JsonObject Copy(JsonObject json) => (JsonObject)json.DeepClone();

    private void EndWithParent()
    {
        // Jupyter tells who started the kernel; without that process nobody would ever end this one.
        if (int.TryParse(Environment.GetEnvironmentVariable("JPY_PARENT_PID"), out var id) && id > 1 && !Exists(id))
        {
            _shutdown.TrySetResult();
        }
    }

    private static bool Exists(int processId)
    {
        try
        {
            using var process = Process.GetProcessById(processId);
            return !process.HasExited;
        }
        catch (Exception exception) when (exception is ArgumentException or InvalidOperationException)
        {
            return false;
        }
    }
}
