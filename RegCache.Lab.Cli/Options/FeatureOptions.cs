using System.CommandLine;
using RegCache.Lab.Data;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Cli.Options;

/// <summary>What <c>regcache features</c> takes, of what, and where to.</summary>
internal sealed class FeatureOptions
{
    private const string WhatValues = "features,tokens,logits,inputs";
    private const string TokenValues = "class,registers,patches";

    private readonly Argument<string[]> _files = new("FILE")
    {
        Description = "Images: files, - for standard input, folders or shards. With --text or --texts there may be none.",
        Arity = ArgumentArity.ZeroOrMore,
    };

    private readonly Option<string> _output = new("--output")
    {
        Description = "The file to write; its ending decides: .npy (one array, with a .json beside it) or .safetensors (any number).",
        HelpName = "FILE",
        Required = true,
    };

    private readonly Option<FeatureKinds?> _what = new("--what")
    {
        Description = $"What to write, separated by commas: {WhatValues}. inputs are pixels and token ids. [default: features; tokens with --blocks]",
        HelpName = "LIST",
        CustomParser = result => OptionOf.Parse<FeatureKinds?>(result, text => ParseFlags<FeatureKinds>("--what", text, WhatValues)),
    };

    private readonly Option<int[]> _blocks = new("--blocks")
    {
        Description = "Blocks whose output is the stream of tokens, separated by commas: 0,5,last; input is what enters block 0. [default: last]",
        HelpName = "LIST",
        CustomParser = result => OptionOf.Parse(result, ParseBlocks),
    };

    private readonly Option<TokenKinds?> _tokens = new("--tokens")
    {
        Description = $"Which tokens of images, separated by commas: {TokenValues}, or all. [default: all]",
        HelpName = "LIST",
        CustomParser = result => OptionOf.Parse<TokenKinds?>(
            result, text => text == "all" ? TokenKinds.All : ParseFlags<TokenKinds>("--tokens", text, $"{TokenValues},all")),
    };

    private readonly Option<bool> _normalize = new("--normalize") { Description = "Divide features by their length. Without it they are as OpenCLIP's encode_image gives them." };

    private readonly Option<string[]> _text = new("--text") { Description = "A text; may be given several times.", HelpName = "TEXT" };

    private readonly Option<string?> _texts = new("--texts") { Description = "A file of texts in UTF-8, one a line; they come after those of --text.", HelpName = "FILE" };

    /// <summary>Adds them to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(_files);
        command.AddGroup(OptionGroups.Results, _output, _what, _blocks, _tokens, _normalize);
        command.AddGroup(OptionGroups.Data, _text, _texts);
    }

    /// <summary>What they say.</summary>
    /// <exception cref="UserException">Options contradict each other.</exception>
    public WantedFeatures Read(ParseResult arguments)
    {
        var blocks = arguments.GetValue(_blocks) ?? [];
        var kinds = arguments.GetValue(_what) ?? (blocks.Length > 0 ? FeatureKinds.Tokens : FeatureKinds.Features);
        var hasTokens = kinds.HasFlag(FeatureKinds.Tokens);
        if (!hasTokens && (blocks.Length > 0 || arguments.GetValue(_tokens) is not null))
        {
            throw new UserException($"{(blocks.Length > 0 ? "--blocks" : "--tokens")} is about tokens, which are not asked for; add them (--what {kinds.ToString().ToLowerInvariant().Replace(" ", "", StringComparison.Ordinal)},tokens).");
        }

        if (arguments.GetValue(_normalize) && !kinds.HasFlag(FeatureKinds.Features))
        {
            throw new UserException("--normalize is about features, which are not asked for; add them (--what features), or leave it out.");
        }

        return new(
            arguments.GetValue(_files) ?? [],
            arguments.GetValue(_text) ?? [],
            arguments.GetValue(_texts),
            arguments.GetRequiredValue(_output),
            kinds.HasFlag(FeatureKinds.Logits),
            new()
            {
                Inputs = kinds.HasFlag(FeatureKinds.Inputs),
                Features = kinds.HasFlag(FeatureKinds.Features),
                Blocks = !hasTokens ? [] : blocks.Length > 0 ? [.. blocks] : [FeatureRequest.Last],
                Tokens = arguments.GetValue(_tokens) ?? TokenKinds.All,
                Normalize = arguments.GetValue(_normalize),
            });
    }

    private static T ParseFlags<T>(string option, string text, string values)
        where T : struct, Enum
    {
        string[] names = [.. text.Split(',').Select(name => name.Trim())];
        return names.FirstOrDefault(name => name == "all" || !values.Split(',').Contains(name)) is { } unknown
            ? throw new UserException($"{option} takes {values.Replace(",", ", ", StringComparison.Ordinal)}, separated by commas, not '{unknown}'")
            : Enum.Parse<T>(string.Join(',', names), ignoreCase: true);
    }

    private static int[] ParseBlocks(string text) => [.. text.Split(',').Select(part => part.Trim() switch
    {
        "input" => FeatureRequest.Input,
        "last" => FeatureRequest.Last,
        var number => int.TryParse(number, out var block) && block is >= 0 and < FeatureRequest.Last
            ? block
            : throw new UserException($"--blocks takes block numbers from 0 on, input or last, separated by commas, not '{number}'"),
    })];
}

/// <summary>Kinds of arrays.</summary>
[Flags]
internal enum FeatureKinds
{
    /// <summary>Pooled and projected features.</summary>
    Features = 1,

    /// <summary>The stream of tokens.</summary>
    Tokens = 2,

    /// <summary>Scores of texts or classes.</summary>
    Logits = 4,

    /// <summary>Pixels and token ids.</summary>
    Inputs = 8,
}

/// <summary>What somebody asked <c>regcache features</c> for.</summary>
/// <param name="Images">Names of the images.</param>
/// <param name="GivenTexts">Texts of the command line.</param>
/// <param name="TextFile">A file of more; null: none.</param>
/// <param name="Output">The file to write.</param>
/// <param name="Logits">Whether logits are wanted.</param>
/// <param name="Request">Which arrays of the encoders are wanted.</param>
internal sealed record WantedFeatures(
    IReadOnlyList<string> Images, IReadOnlyList<string> GivenTexts, string? TextFile, string Output, bool Logits, FeatureRequest Request)
{
    /// <summary>All texts, in order.</summary>
    /// <exception cref="UserException">The file cannot be read.</exception>
    public IReadOnlyList<string> ReadTexts() => [.. GivenTexts, .. TextFile is null ? [] : CaptionLines.Read(TextFile)];

    /// <summary>Refuses what has no result, before a model is loaded.</summary>
    /// <exception cref="UserException">There is no input, logits have nothing to score, classes are given that nothing scores, or the file cannot hold the arrays.</exception>
    public void RequireSense(int images, int texts, bool hasClasses, bool isQuantized)
    {
        if (images + texts == 0)
        {
            throw new UserException("There is nothing to encode: name image files (- reads one from standard input), or give texts (--text, --texts).");
        }

        if (Logits && images == 0)
        {
            throw new UserException("Logits are scores of images: name image files, too.");
        }

        var tokens = Request.Blocks.Count - (Request.Blocks.Contains(FeatureRequest.Last) && Request.Blocks.Count > 1 ? 1 : 0);
        var arrays = tokens + (Request.Inputs ? 1 : 0) + (Request.Features ? 1 : 0);
        FeatureFile.RequireRoom(Output, (images > 0 ? arrays : 0) + (texts > 0 ? arrays : 0) + (Logits ? 1 : 0));
        // Quantizers may calibrate by class scores.
        if (hasClasses && !Logits && !isQuantized)
        {
            throw new UserException("--prompts and --classifier are about class logits, which are not asked for; add them (--what logits), or leave these out.");
        }
    }
}
