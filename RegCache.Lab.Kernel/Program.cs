using System.Globalization;
using System.Runtime.InteropServices;
using RegCache.Lab;
using RegCache.Lab.Kernel;
using RegCache.Lab.Kernel.Notebooks;

const string Usage = """
    RegCache.Lab.Kernel run FILE... [--out DIR] [--html] [--timeout SECONDS] [--param NAME=VALUE]...
        runs notebooks and keeps their outputs; without --out they are written where they are
    RegCache.Lab.Kernel kernel --connection-file FILE
        runs as a Jupyter kernel
    RegCache.Lab.Kernel install
        makes the kernel known to Jupyter
    """;

CultureInfo.DefaultThreadCurrentCulture = CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
try
{
    return args switch
    {
        ["run", .. var rest] => await RunAsync(rest),
        ["kernel", "--connection-file", var file] => await KernelAsync(file),
        ["install"] => Install(),
        ["--help"] or ["-h"] => Print(Usage, 0),
        _ => Print(Usage, 2),
    };
}
catch (UserException exception)
{
    await Console.Error.WriteLineAsync($"error: {exception.Message}");
    return 2;
}
catch (OperationCanceledException)
{
    await Console.Error.WriteLineAsync("stopped");
    return 130;
}

static async Task<int> RunAsync(string[] words)
{
    var files = new List<string>();
    var parameters = new Dictionary<string, string>();
    string? folder = null;
    TimeSpan? timeout = null;
    var html = false;
    for (var index = 0; index < words.Length; index++)
    {
        switch (words[index])
        {
            case "--out":
                folder = Next(words, ref index);
                break;
            case "--html":
                html = true;
                break;
            case "--timeout":
                var text = Next(words, ref index);
                timeout = double.TryParse(text, CultureInfo.InvariantCulture, out var seconds) && seconds is > 0 and < 1e6
                    ? TimeSpan.FromSeconds(seconds)
                    : throw new UserException($"--timeout takes a number of seconds, which {text} is not.");
                break;
            case "--param":
                var pair = Next(words, ref index).Split('=', 2);
                parameters[pair[0]] = pair.Length == 2 ? pair[1] : throw new UserException($"--param takes NAME=VALUE, which {pair[0]} is not.");
                break;
            case ['-', ..]:
                throw new UserException($"The option {words[index]} is not known; see --help.");
            default:
                files.Add(words[index]);
                break;
        }
    }

    if (files.Count == 0)
    {
        throw new UserException("There is no notebook to run; name one or more files.");
    }

    using var stop = new CancellationTokenSource();
    using var signal = PosixSignalRegistration.Create(PosixSignal.SIGINT, context =>
    {
        context.Cancel = true;
        stop.Cancel();
    });
    var options = new NotebookRunOptions { Files = files, OutputFolder = folder, Html = html, CellTimeout = timeout, Parameters = parameters };
    return await NotebookCommands.RunAsync(options, Console.Out, stop.Token);
}

static async Task<int> KernelAsync(string file)
{
    await NotebookCommands.RunKernelAsync(file);
    return 0;
}

static int Install() => Print($"The kernel is installed in {NotebookCommands.Install()}", 0);

static int Print(string text, int exitCode)
{
    (exitCode == 0 ? Console.Out : Console.Error).WriteLine(text);
    return exitCode;
}

static string Next(string[] words, ref int index) =>
    ++index < words.Length ? words[index] : throw new UserException($"{words[index - 1]} takes a value.");
