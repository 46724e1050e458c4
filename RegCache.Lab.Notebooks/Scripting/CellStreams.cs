using System.Text;

namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>
/// Gathers what a cell prints and hands it on in pieces: soon enough to be watched live, large enough that a cell that prints ten
/// megabytes becomes a few hundred pieces, not a million.
/// </summary>
internal sealed class CellStreams : IDisposable
{
    private const int PieceLength = 32 * 1024;
    private static readonly TimeSpan Delay = TimeSpan.FromMilliseconds(40);
    private readonly Lock _gate = new();
    private readonly StringBuilder _text = new();
    private readonly ICellOutput _output;
    private readonly Timer _timer;
    private ConsoleChannel _stream;
    private bool _closed;

    public CellStreams(ICellOutput output)
    {
        _output = output;
        _timer = new Timer(static streams => ((CellStreams)streams!).Flush(), this, Timeout.Infinite, Timeout.Infinite);
    }

    public void Write(ConsoleChannel stream, ReadOnlySpan<char> text)
    {
        if (text.IsEmpty)
        {
            return;
        }

        lock (_gate)
        {
            if (stream != _stream)
            {
                Flush();
                _stream = stream;
            }

            if (_text.Length == 0 && !_closed)
            {
                _timer.Change(Delay, Timeout.InfiniteTimeSpan);
            }

            _text.Append(text);
            if (_text.Length >= PieceLength || _closed)
            {
                Flush();
            }
        }
    }

    /// <summary>Hands on what is held back; before a value is shown, so that the order is the cell's.</summary>
    public void Flush()
    {
        lock (_gate)
        {
            if (_text.Length > 0)
            {
                var piece = _text.ToString();
                _text.Clear();
                _output.Write(_stream, piece);
            }
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            // A thread that outlives its cell may still print: without a timer then, piece by piece.
            _closed = true;
            Flush();
        }

        _timer.Dispose();
    }
}

/// <summary>The console's input as cells see it: the person at the notebook is asked. Outside cells it is the process's.</summary>
internal sealed class CellInput(TextReader outside) : TextReader
{
    private static int _installed;

    /// <summary>Replaces the console's reader, once a process.</summary>
    public static void Install()
    {
        if (Interlocked.Exchange(ref _installed, 1) == 0)
        {
            Console.SetIn(new CellInput(Console.In));
        }
    }

    public override string? ReadLine()
    {
        if (CellRun.Current is not { } run)
        {
            return outside.ReadLine();
        }

        run.Streams.Flush();
        return run.Output.ReadLine(string.Empty, secret: false);
    }
}
