using System.Text;

namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>The console as cells see it: each cell's own streams, and the process's outside cells.</summary>
internal static class CellConsole
{
    private static int _installed;

    /// <summary>Replaces the console's writers and reader, once a process.</summary>
    public static void Install()
    {
        if (Interlocked.Exchange(ref _installed, 1) == 0)
        {
            Console.SetOut(new Writer(ConsoleChannel.Out, Console.Out));
            Console.SetError(new Writer(ConsoleChannel.Error, Console.Error));
            Console.SetIn(new Reader(Console.In));
        }
    }

    private sealed class Writer(ConsoleChannel stream, TextWriter outside) : TextWriter
    {
        public override Encoding Encoding => Encoding.UTF8;

        public override void Write(char value) => Write([value]);

        public override void Write(char[] buffer, int index, int count) => Write(buffer.AsSpan(index, count));

        public override void Write(string? value) => Write(value.AsSpan());

        public override void Write(ReadOnlySpan<char> buffer)
        {
            if (CellRun.Current is { } run)
            {
                run.Streams.Write(stream, buffer);
            }
            else
            {
                lock (outside)
                {
                    outside.Write(buffer);
                    outside.Flush();
                }
            }
        }

        public override void WriteLine(string? value) => Write(value + Environment.NewLine);

        public override void Flush() => CellRun.Current?.Streams.Flush();
    }

    private sealed class Reader(TextReader outside) : TextReader
    {
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
}
