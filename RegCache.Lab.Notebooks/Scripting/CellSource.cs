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
        ["html"] = CellLanguage.Html,
        ["markdown"] = CellLanguage.Markdown,
        ["javascript"] = CellLanguage.JavaScript,
        ["js"] = CellLanguage.JavaScript,
    };

    /// <summary>Takes a cell apart.</summary>
    /// <exception cref="CompilationFailedException">A magic command is not known.</exception>
    public static CellSource Parse(string text)
    {
        var segments = new List<CellSegment>();
        var isTimed = false;
        var language = CellLanguage.CSharp;
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
                var message = $"The magic command #!{word} is not known; there are #!csharp, #!html, #!markdown, #!javascript and #!time.";
                throw new CompilationFailedException(new CellError(nameof(UserException), message, number, [message]));
            }

            part.Append('\n');
        }

        Close();
        return new CellSource(segments, isTimed);

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
