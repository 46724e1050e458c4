using System.CommandLine;
using RegCache.Lab.Cli;

namespace RegCache.Lab.Tests.Cli;

public sealed class HelpPageTests
{
    private const int Width = 100;

    private static readonly RootCommand _root = CommandTree.Build(KitCommand.All(), (_, _) => 0);

    public static TheoryData<string> Commands => [.. Below(_root).Select(command => command.Words).Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Commands))]
    public void EveryCommandHasAPageOfPlainSentences(string words)
    {
        var command = Below(_root).Single(command => command.Words == words).Command;
        var page = PageOf(command);
        Assert.False(string.IsNullOrWhiteSpace(command.Description), $"{words} has no description.");
        Assert.EndsWith(".", command.Description, StringComparison.Ordinal);
        Assert.All(page.Split('\n'), line => Assert.InRange(line.Length, 0, Width));
        Assert.Contains($"regcache {words}", page, StringComparison.Ordinal);
        foreach (var option in command.Options.Where(option => !option.Hidden && !option.Recursive))
        {
            Assert.Contains(option.Name + (option.ValueType == typeof(bool) ? "" : " <"), page, StringComparison.Ordinal);
        }
    }

    [Theory]
    [MemberData(nameof(Commands))]
    public void ADefaultAppearsOnceAndAsTheOptionTakesIt(string words)
    {
        var command = Below(_root).Single(command => command.Words == words).Command;
        foreach (var option in command.Options.Where(option => !option.Hidden && !option.Recursive))
        {
            var text = HelpPage.Text(option);
            var parts = text.Split("[default: ");
            Assert.InRange(parts.Length, 1, 2);
            Assert.DoesNotContain("[default: ]", text, StringComparison.Ordinal);
            if (parts.Length == 2 && option.HasDefaultValue && option.HelpName?.Contains('|', StringComparison.Ordinal) == true)
            {
                Assert.Contains(parts[1].TrimEnd(']'), option.HelpName.Split('|'));
            }
        }
    }

    [Fact]
    public void TheOptionsOfThePipelineAreInGroups()
    {
        var titles = PageOf(Below(_root).Single(command => command.Words == "pipeline").Command)
            .Split('\n').Where(line => line.EndsWith(':') && !line.StartsWith(' '));
        Assert.Equal(["Data:", "Model:", "Quantizer:", "Quantizer naive:", "Quantizer ptq4vit:", "RegCache's search:", "Running:"], titles);
    }

    [Fact]
    public void HelpIsToldAlthoughARequiredOptionIsMissing()
    {
        var (code, output, error) = ExternalProcess.Run(ExternalProcess.Regcache, ["pipeline", "--help"]);
        Assert.Equal(0, code);
        Assert.Contains("Quantizer ptq4vit:", output, StringComparison.Ordinal);
        Assert.Empty(error);
    }

    private static string PageOf(Command command)
    {
        using var page = new StringWriter { NewLine = "\n" };
        HelpPage.Write(command, page, Width);
        return page.ToString();
    }

    private static IEnumerable<(string Words, Command Command)> Below(Command parent) => parent.Subcommands.SelectMany(
        command => Below(command).Select(inner => ($"{command.Name} {inner.Words}", inner.Command)).Prepend((command.Name, command)));
}
