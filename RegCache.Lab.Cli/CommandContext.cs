using System.CommandLine;
using RegCache.Lab.Reports;
using Spectre.Console;

namespace RegCache.Lab.Cli;

/// <summary>What a running command has at hand.</summary>
/// <param name="Arguments">The parsed command line.</param>
/// <param name="CommandLine">The command line as text, for provenance.</param>
/// <param name="Output">Standard output, for lines that other programs may read; never wrapped.</param>
/// <param name="Console">Standard output, for tables that people read.</param>
/// <param name="Progress">Progress bars on a terminal, plain lines elsewhere; on standard error.</param>
/// <param name="Cancellation">Cancelled by Ctrl-C and SIGTERM; check it once a batch.</param>
internal sealed record CommandContext(
    ParseResult Arguments,
    string CommandLine,
    TextWriter Output,
    IAnsiConsole Console,
    IWorkProgress Progress,
    CancellationToken Cancellation);
