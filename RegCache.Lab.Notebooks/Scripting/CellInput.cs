namespace RegCache.Lab.Notebooks.Scripting;

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
