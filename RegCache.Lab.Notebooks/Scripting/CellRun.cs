namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>One run of one cell: where its output goes and whether it has been asked to stop. Follows the code across awaits and threads.</summary>
internal sealed class CellRun : IDisposable
{
    private static readonly AsyncLocal<CellRun?> Ambient = new();
    private readonly CancellationTokenSource _stop;
    private readonly Lock _gate = new();
    private Thread? _thread;
    private bool _raised;
    private bool _ended;

    public CellRun(ICellOutput output, CancellationToken interrupt)
    {
        Output = output;
        Streams = new CellStreams(output);
        _stop = CancellationTokenSource.CreateLinkedTokenSource(interrupt);
        Token = _stop.Token;
        Token.UnsafeRegister(static run => ((CellRun)run!).Interrupt(), this);
    }

    /// <summary>The run that the calling code belongs to; null outside cells.</summary>
    public static CellRun? Current
    {
        get => Ambient.Value;
        set => Ambient.Value = value;
    }

    public ICellOutput Output { get; }

    public CellStreams Streams { get; }

    public CancellationToken Token { get; }

    /// <summary>The thread that the cell's code starts on, so that an interruption can wake it from a wait.</summary>
    public void Attach(Thread thread)
    {
        lock (_gate)
        {
            _thread = thread;
            if (_raised)
            {
                thread.Interrupt();
            }
        }
    }

    /// <summary>The cell's code has come to its end, also where nobody waits for it any more.</summary>
    public void End()
    {
        lock (_gate)
        {
            _ended = true;
            _thread = null;
            if (_raised)
            {
                _raised = false;
                Interruption.Lower();
            }
        }
    }

    public void Dispose()
    {
        Streams.Dispose();
        _stop.Dispose();
    }

    private void Interrupt()
    {
        lock (_gate)
        {
            if (!_ended && !_raised)
            {
                _raised = true;
                Interruption.Raise();
                _thread?.Interrupt();
            }
        }
    }
}
