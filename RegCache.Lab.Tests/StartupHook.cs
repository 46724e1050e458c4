using RegCache.Lab.Cli;
using RegCache.Lab.Tests;

/// <summary>
/// The runtime runs this before the program's own start where DOTNET_STARTUP_HOOKS names this assembly: the process is the
/// kit's command line, with the commands of <see cref="TestCommands"/> instead of its own.
/// </summary>
internal static class StartupHook
{
    public static void Initialize() =>
        Environment.Exit(new CommandHost(TestCommands.All).Run(Environment.GetCommandLineArgs()[1..]));
}
