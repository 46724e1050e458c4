using System.Text;

namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>A cell's text taken apart at its magic commands, the lines that start with <c>#!</c>.</summary>
/// <param name="Segments">The parts, in order.</param>
/// <param name="IsTimed">Whether the time that the cell takes is to be shown.</param>
internal sealed record CellSource(IReadOnlyList<CellSegment> Segments, bool IsTimed)
{
    private static readonly Dictionary<string, CellLanguage> Languages = new(StringComparer.OrdinalIgnoreCase)
    {
        ["csharp"] = CellLanguage.CSharp,
        ["c#"] = CellLanguage.CSharp,
        ["cs"] = CellLanguage.CSharp,
        ["html"] = CellLanguage.Html,
        ["markdown"] = CellLanguage.Markdown,
        ["javascript"] = CellLanguage.JavaScript,
        ["js"] = CellLanguage.JavaScript,
    };

    /// <summary>The sentence on what is in a language that the kit does not run.</summary>
    public static string OtherLanguage(string what, string language) =>
        $"{what} is in {language}, which the kit does not run; code cells may be in C#, HTML, Markdown or JavaScript.";

    /// <summary>Whether the kit runs or shows cells in a language.</summary>
    public static bool Knows(string language) => Languages.ContainsKey(language);

    /// <summary>Takes a cell apart.</summary>
    /// <param name="text">The cell.</param>
    /// <param name="name">The language that the cell is in before its first magic command; null for C#.</param>
    /// <exception cref="CompilationFailedException">The language or a magic command is not known.</exception>
    public static CellSource Parse(string text, string? name = null)
    {
        var segments = new List<CellSegment>();
        var isTimed = false;
        var language = name is null ? CellLanguage.CSharp : Languages.TryGetValue(name, out var own) ? own : throw Refusal(OtherLanguage("The cell", name), 1);
        var part = new StringBuilder();
        var number = 0;
        foreach (var line in text.Split('\n'))
        {
            number++;
            if (!line.StartsWith("#!", StringComparison.Ordinal))
            {
                part.Append(line).Append('\n');
                continue;
            }

            var word = line[2..].Trim();
            if (word.Equals("time", StringComparison.OrdinalIgnoreCase))
            {
                isTimed = true;
            }
            else if (Languages.TryGetValue(word, out var next))
            {
                Close();
                part.Append('\n', number - 1);
                language = next;
            }
            else
            {
                throw Refusal($"The magic command #!{word} is not known; there are #!csharp, #!html, #!markdown, #!javascript and #!time.", number);
            }

            part.Append('\n');
        }

        Close();
        return new CellSource(segments, isTimed);

        static CompilationFailedException Refusal(string message, int line) => new(new CellError(nameof(UserException), message, line, [message]));

        void Close()
        {
            if (!string.IsNullOrWhiteSpace(part.ToString()))
            {
                part.Length--;
                segments.Add(new CellSegment(language, part.ToString()));
            }

            part.Clear();
        }
    }
}

/// <summary>What a part of a cell is written in.</summary>
internal enum CellLanguage
{
    /// <summary>C#, which is run.</summary>
    CSharp,

    /// <summary>HTML, which is shown.</summary>
    Html,

    /// <summary>Markdown, which is shown.</summary>
    Markdown,

    /// <summary>JavaScript, which the front end runs.</summary>
    JavaScript,
}

/// <summary>A part of a cell between magic commands.</summary>
/// <param name="Language">What the part is written in.</param>
/// <param name="Text">The part; as many empty lines above it as it has lines above it in the cell.</param>
internal sealed record CellSegment(CellLanguage Language, string Text);
