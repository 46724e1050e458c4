using System.Diagnostics;
using System.Text;
using Xunit;

namespace RegCache.Lab.Tests;

/// <summary>A program started by a test, with its output collected.</summary>
internal sealed class ExternalProcess : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(8);
    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly StringBuilder _error = new();

    private ExternalProcess(ProcessStartInfo start)
    {
        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, line) => Append(_output, line.Data);
        _process.ErrorDataReceived += (_, line) => Append(_error, line.Data);
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    public string Output => Text(_output);

    public string Error => Text(_error);

    public bool HasExited => _process.HasExited;

    public int Id => _process.Id;

    /// <summary>The built command line of the kit.</summary>
    public static string Regcache { get; } = Path.Combine(AppContext.BaseDirectory, "regcache");

    /// <summary>Starts a program, with signals as a shell in the foreground would leave them.</summary>
    /// <param name="program">The program; the process keeps its number.</param>
    /// <param name="arguments">Its words.</param>
    /// <param name="environment">Variables to set; null removes one.</param>
    public static ExternalProcess Start(
        string program, IEnumerable<string> arguments, params (string Name, string? Value)[] environment)
    {
        var start = new ProcessStartInfo("/usr/bin/env", ["--default-signal=INT,TERM", program, .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = Goldens.RepositoryRoot,
        };
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        return new ExternalProcess(start);
    }

    /// <summary>Runs a program to its end.</summary>
    public static (int ExitCode, string Output, string Error) Run(
        string program, IEnumerable<string> arguments, params (string Name, string? Value)[] environment)
    {
        using var process = Start(program, arguments, environment);
        return (process.WaitForExit(), process.Output, process.Error);
    }

    /// <summary>Runs one of the commands that exist for tests only, in a real process of the kit; see <see cref="TestCommands"/>.</summary>
    public static ExternalProcess StartTestCommand(IEnumerable<string> arguments, params (string Name, string? Value)[] environment) =>
        Start(Regcache, arguments, [("DOTNET_STARTUP_HOOKS", typeof(ExternalProcess).Assembly.Location), .. environment]);

    /// <summary>Waits until a line has been printed.</summary>
    public void WaitForOutput(string text)
    {
        var clock = Stopwatch.StartNew();
        while (!Output.Contains(text, StringComparison.Ordinal))
        {
            Assert.True(clock.Elapsed < Patience && !_process.HasExited, $"'{text}' never came; output: {Output} error: {Error}");
            Thread.Sleep(10);
        }
    }

    public void Signal(string name)
    {
        using var kill = Process.Start("kill", ["-s", name, _process.Id.ToString()]);
        kill.WaitForExit();
    }

    /// <summary>Waits for the end of the process and of its output.</summary>
    public int WaitForExit()
    {
        Assert.True(_process.WaitForExit(Patience), $"The process does not end; output: {Output} error: {Error}");
        _process.WaitForExit();
        return _process.ExitCode;
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
        }

        _process.Dispose();
    }

    private static void Append(StringBuilder text, string? line)
    {
        lock (text)
        {
            if (line is not null)
            {
                text.Append(line).Append('\n');
            }
        }
    }

    private static string Text(StringBuilder text)
    {
        lock (text)
        {
            return text.ToString();
        }
    }
}
