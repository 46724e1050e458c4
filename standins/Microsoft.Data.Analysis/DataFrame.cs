using System.Globalization;
using System.Text;

namespace Microsoft.Data.Analysis;

public class DataFrame
{
    private const int RowsInText = 25;

    public DataFrame(params DataFrameColumn[] columns)
        : this((IEnumerable<DataFrameColumn>)columns)
    {
    }

    public DataFrame(IEnumerable<DataFrameColumn> columns)
    {
        Columns = new DataFrameColumnCollection(columns);
        Rows = new DataFrameRowCollection(this);
    }

    public DataFrameColumnCollection Columns { get; }

    public DataFrameRowCollection Rows { get; }

    public DataFrame this[PrimitiveDataFrameColumn<bool> rowFilter] => Filter(rowFilter);

    public DataFrame this[IEnumerable<bool> rowFilter] => Filter(new BooleanDataFrameColumn("filter", rowFilter));

    public DataFrame this[IEnumerable<int> rowIndices] => Take([.. rowIndices.Select(row => (long)row)]);

    public object? this[long rowIndex, int columnIndex]
    {
        get => Columns[columnIndex][rowIndex];
        set => Columns[columnIndex][rowIndex] = value;
    }

    public DataFrameColumn this[string columnName]
    {
        get => Columns[columnName];
        set => Columns[columnName] = value;
    }

    public static DataFrame LoadCsv(
        string filename, char separator = ',', bool header = true, string[]? columnNames = null, Type[]? dataTypes = null,
        int numRows = -1, int guessRows = 10, bool addIndexColumn = false, Encoding? encoding = null,
        bool renameDuplicatedColumns = false, CultureInfo? cultureInfo = null)
    {
        using var reader = new StreamReader(filename, encoding ?? Encoding.UTF8);
        return new CsvInput(separator, header, columnNames, dataTypes, numRows, guessRows, addIndexColumn, renameDuplicatedColumns, cultureInfo)
            .Read(reader);
    }

    public static void SaveCsv(
        DataFrame dataFrame, Stream csvStream, char separator = ',', bool header = true, Encoding? encoding = null,
        CultureInfo? cultureInfo = null)
    {
        using var writer = new StreamWriter(csvStream, encoding ?? new UTF8Encoding(false), leaveOpen: true);
        CsvOutput.Write(dataFrame, writer, separator, header, cultureInfo ?? CultureInfo.CurrentCulture);
    }

    public static void SaveCsv(
        DataFrame dataFrame, string path, char separator = ',', bool header = true, Encoding? encoding = null,
        CultureInfo? cultureInfo = null)
    {
        using var stream = File.Create(path);
        SaveCsv(dataFrame, stream, separator, header, encoding, cultureInfo);
    }

    public DataFrame Append(IEnumerable<object?>? row = null, bool inPlace = false, CultureInfo? cultureInfo = null)
    {
        var target = inPlace ? this : Clone();
        var values = row?.ToArray() ?? new object?[target.Columns.Count];
        if (values.Length != target.Columns.Count)
        {
            throw new ArgumentException($"The row has {values.Length} values, the frame has {target.Columns.Count} columns.", nameof(row));
        }

        for (var index = 0; index < values.Length; index++)
        {
            target.Columns[index].AppendValue(values[index], cultureInfo);
        }

        return target;
    }

    public DataFrame Clone() => new(Columns.Select(column => column.Clone()));

    public DataFrame Description()
    {
        string[] names = ["Length (excluding null values)", "Max", "Min", "Mean"];
        return new DataFrame(Columns
            .Where(column => column.HasDescription())
            .Select(column => column.Description())
            .Prepend(new StringDataFrameColumn("Description", names)));
    }

    public DataFrame Filter(PrimitiveDataFrameColumn<bool> filter) => filter.Length == Rows.Count
        ? Take([.. filter.Select((keep, row) => (keep, row)).Where(pair => pair.keep == true).Select(pair => (long)pair.row)])
        : throw new ArgumentException($"The filter has {filter.Length} rows, the frame {Rows.Count}.", nameof(filter));

    public GroupBy GroupBy(string columnName) => Columns[columnName] switch
    {
        StringDataFrameColumn => GroupBy<string>(columnName),
        BooleanDataFrameColumn => GroupBy<bool>(columnName),
        PrimitiveDataFrameColumn<int> => GroupBy<int>(columnName),
        PrimitiveDataFrameColumn<long> => GroupBy<long>(columnName),
        PrimitiveDataFrameColumn<float> => GroupBy<float>(columnName),
        PrimitiveDataFrameColumn<double> => GroupBy<double>(columnName),
        PrimitiveDataFrameColumn<DateTime> => GroupBy<DateTime>(columnName),
        var column => throw new NotSupportedException($"Rows cannot be grouped by {column.DataType.Name} values."),
    };

    public GroupBy<TKey> GroupBy<TKey>(string columnName)
        where TKey : notnull
    {
        var groups = new OrderedDictionary<TKey, ICollection<long>>();
        var column = Columns[columnName];
        for (var row = 0L; row < column.Length; row++)
        {
            if (column[row] is TKey key)
            {
                groups.TryAdd(key, new List<long>());
                groups[key].Add(row);
            }
        }

        return new GroupBy<TKey>(this, Columns.IndexOf(columnName), groups);
    }

    public DataFrame Head(int numberOfRows) => Range(0, numberOfRows);

    public DataFrame OrderBy(string columnName, bool ascending = true, bool putNullValuesLast = true) =>
        Take(Columns[columnName].SortIndices(ascending, putNullValuesLast));

    public DataFrame OrderByDescending(string columnName, bool putNullValuesLast = true) => OrderBy(columnName, false, putNullValuesLast);

    public DataFrame Tail(int numberOfRows) => Range(Math.Max(0, Rows.Count - numberOfRows), numberOfRows);

    public override string ToString() => ToString(RowsInText);

    public string ToString(long rowsToShow)
    {
        var shown = Rows.Take(checked((int)rowsToShow)).ToArray();
        var texts = Columns
            .Select((column, index) => shown.Select(row => Convert.ToString(row[index], CultureInfo.CurrentCulture) ?? "null").Prepend(column.Name).ToArray())
            .ToArray();
        var widths = texts.Select(column => column.Max(text => text.Length)).ToArray();
        var builder = new StringBuilder();
        for (var line = 0; line <= shown.Length; line++)
        {
            builder.AppendLine(string.Join("  ", texts.Select((column, index) => column[line].PadRight(widths[index]))).TrimEnd());
        }

        return builder.ToString();
    }

    internal DataFrame Take(IReadOnlyList<long> rows) => new(Columns.Select(column => column.Take(rows)));

    private DataFrame Range(long start, long count)
    {
        var rows = new List<long>();
        for (var row = start; row < Math.Min(start + count, Rows.Count); row++)
        {
            rows.Add(row);
        }

        return Take(rows);
    }
}
