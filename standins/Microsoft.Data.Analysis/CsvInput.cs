using System.Globalization;
using System.Text;

namespace Microsoft.Data.Analysis;

/// <summary>Reads comma-separated text; where no types are given they are guessed from the first rows, as the package does.</summary>
internal sealed class CsvInput(
    char separator, bool header, string[]? columnNames, Type[]? dataTypes, long numberOfRows, int guessRows, bool addIndexColumn,
    bool renameDuplicates, CultureInfo? culture)
{
    private readonly CultureInfo _culture = culture ?? CultureInfo.CurrentCulture;

    public DataFrame Read(TextReader reader)
    {
        var lines = ReadLines(reader);
        var first = header && lines.Count > 0 ? lines[0] : null;
        var data = first is null ? lines : lines[1..];
        var width = first?.Length ?? (data.Count > 0 ? data[0].Length : columnNames?.Length ?? 0);
        var names = Names(first, width);
        var columns = new List<DataFrameColumn>();
        for (var index = 0; index < width; index++)
        {
            var type = dataTypes?[index] ?? GuessType(data.Take(guessRows).Select(line => line[index]));
            var column = Create(names[index], type);
            foreach (var line in data)
            {
                column.AppendValue(type != typeof(string) && line[index].Length == 0 ? null : line[index], _culture);
            }

            columns.Add(column);
        }

        if (addIndexColumn)
        {
            columns.Insert(0, new Int32DataFrameColumn("IndexColumn", Enumerable.Range(0, data.Count)));
        }

        return new DataFrame(columns);
    }

    private static DataFrameColumn Create(string name, Type type) => type switch
    {
        _ when type == typeof(bool) => new BooleanDataFrameColumn(name),
        _ when type == typeof(int) => new Int32DataFrameColumn(name),
        _ when type == typeof(long) => new Int64DataFrameColumn(name),
        _ when type == typeof(float) => new SingleDataFrameColumn(name),
        _ when type == typeof(double) => new DoubleDataFrameColumn(name),
        _ when type == typeof(DateTime) => new DateTimeDataFrameColumn(name),
        _ when type == typeof(string) => new StringDataFrameColumn(name),
        _ => throw new NotSupportedException($"The column {name} cannot hold {type.Name} values."),
    };

    private List<string[]> ReadLines(TextReader reader)
    {
        var lines = new List<string[]>();
        var limit = numberOfRows < 0 ? long.MaxValue : numberOfRows + (header ? 1 : 0);
        while (lines.Count < limit && ReadLine(reader) is { } line)
        {
            if (lines.Count > 0 && line.Length != lines[0].Length)
            {
                throw new FormatException($"Row {lines.Count + 1} has {line.Length} fields, the first line {lines[0].Length}.");
            }

            lines.Add(line);
        }

        return lines;
    }

    /// <summary>The fields of the next row that is not empty; a quoted field may hold separators, line ends and doubled quotes.</summary>
    private string[]? ReadLine(TextReader reader)
    {
        while (reader.Peek() is '\r' or '\n')
        {
            reader.Read();
        }

        if (reader.Peek() < 0)
        {
            return null;
        }

        var fields = new List<string>();
        var field = new StringBuilder();
        var quoted = false;
        while (true)
        {
            var next = reader.Read();
            if (quoted && next >= 0)
            {
                quoted = next != '"' || reader.Peek() == '"';
                if (quoted)
                {
                    field.Append((char)(next == '"' ? reader.Read() : next));
                }
            }
            else if (next == '"' && field.Length == 0)
            {
                quoted = true;
            }
            else if (next < 0 || next == '\n' || next == separator)
            {
                fields.Add(field.ToString());
                field.Clear();
                if (next != separator)
                {
                    return [.. fields];
                }
            }
            else if (next != '\r' || reader.Peek() != '\n')
            {
                field.Append((char)next);
            }
        }
    }

    private string[] Names(string[]? first, int width)
    {
        var names = columnNames ?? first ?? [.. Enumerable.Range(0, width).Select(index => $"Column{index}")];
        if (!renameDuplicates)
        {
            return names;
        }

        var seen = new HashSet<string>();
        return [.. names.Select(name =>
        {
            var unique = name;
            for (var number = 1; !seen.Add(unique); number++)
            {
                unique = $"{name}.{number}";
            }

            return unique;
        })];
    }

    private Type GuessType(IEnumerable<string> values)
    {
        var filled = values.Where(value => value.Length > 0).ToArray();
        if (filled.Length == 0)
        {
            return typeof(string);
        }

        if (filled.All(value => bool.TryParse(value, out _)))
        {
            return typeof(bool);
        }

        if (filled.All(value => float.TryParse(value, NumberStyles.Float | NumberStyles.AllowThousands, _culture, out _)))
        {
            return typeof(float);
        }

        return filled.All(value => DateTime.TryParse(value, _culture, out _)) ? typeof(DateTime) : typeof(string);
    }
}
