namespace RegCache.Lab.Data;

/// <summary>Expands shard specifications with the braces that webdataset, and shells, understand (docs/methods/clip.md, "Training data").</summary>
public static class ShardNames
{
    private const int MostNames = 1_000_000;

    /// <summary>
    /// The names that a specification stands for: <c>{000..125}</c> and <c>{a..e}</c> are ranges with an optional step
    /// <c>{0..9..3}</c>, <c>{x,y}</c> are alternatives, which may be nested, and <c>::</c> joins several specifications.
    /// </summary>
    /// <exception cref="UserException">It stands for too many names.</exception>
    public static IReadOnlyList<string> Expand(string specification)
    {
        var names = specification.Split("::").SelectMany(ExpandOne).Take(MostNames + 1).ToList();
        return names.Count <= MostNames
            ? names
            : throw new UserException($"{specification} stands for more than {MostNames} shards; name fewer.");
    }

    private static IEnumerable<string> ExpandOne(string text)
    {
        for (var open = text.IndexOf('{'); open >= 0; open = text.IndexOf('{', open + 1))
        {
            var close = Matching(text, open);
            if (close < 0 || Choices(text[(open + 1)..close]) is not { } choices)
            {
                continue;
            }

            var (before, after) = (text[..open], text[(close + 1)..]);
            return choices.SelectMany(ExpandOne).SelectMany(choice => ExpandOne(after).Select(rest => before + choice + rest));
        }

        return [text];
    }

    private static int Matching(string text, int open)
    {
        var depth = 0;
        for (var index = open; index < text.Length; index++)
        {
            depth += text[index] == '{' ? 1 : text[index] == '}' ? -1 : 0;
            if (depth == 0)
            {
                return index;
            }
        }

        return -1;
    }

    // Null: a group without comma or range is literal.
    private static IEnumerable<string>? Choices(string group)
    {
        var parts = new List<string>();
        var (depth, first) = (0, 0);
        for (var index = 0; index <= group.Length; index++)
        {
            if (index == group.Length || (group[index] == ',' && depth == 0))
            {
                parts.Add(group[first..index]);
                first = index + 1;
            }
            else
            {
                depth += group[index] == '{' ? 1 : group[index] == '}' ? -1 : 0;
            }
        }

        return parts.Count > 1 ? parts : Range(group.Split(".."));
    }

    private static IEnumerable<string>? Range(string[] parts)
    {
        if (parts.Length is not (2 or 3))
        {
            return null;
        }

        var step = 1L;
        if (parts.Length == 3 && (!long.TryParse(parts[2], out step) || step is 0 or long.MinValue))
        {
            return null;
        }

        if (long.TryParse(parts[0], out var low) && long.TryParse(parts[1], out var high))
        {
            var isPadded = parts[..2].Any(part => part.TrimStart('-') is ['0', _, ..]);
            var width = isPadded ? Math.Max(parts[0].Length, parts[1].Length) : 0;
            return Walk(low, high, step).Select(number => Pad(number, width));
        }

        return parts[0] is [var from] && parts[1] is [var to] && char.IsAsciiLetter(from) && char.IsAsciiLetter(to)
            ? Walk(from, to, step).Select(letter => ((char)letter).ToString())
            : null;
    }

    private static string Pad(long number, int width) =>
        number < 0 ? "-" + (-number).ToString().PadLeft(Math.Max(0, width - 1), '0') : number.ToString().PadLeft(width, '0');

    private static IEnumerable<long> Walk(long low, long high, long step)
    {
        var stride = Math.Abs(step) * (low <= high ? 1 : -1);
        for (var value = low; stride > 0 ? value <= high : value >= high; value += stride)
        {
            yield return value;
        }
    }
}
