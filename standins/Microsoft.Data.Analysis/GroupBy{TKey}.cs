namespace Microsoft.Data.Analysis;

public class GroupBy<TKey> : GroupBy
    where TKey : notnull
{
    private readonly DataFrame _frame;
    private readonly int _keyColumn;
    private readonly IDictionary<TKey, ICollection<long>> _groups;

    public GroupBy(DataFrame dataFrame, int groupByColumnIndex, IDictionary<TKey, ICollection<long>> keyToRowIndices)
    {
        _frame = dataFrame;
        _keyColumn = groupByColumnIndex;
        _groups = keyToRowIndices;
    }

    public override DataFrame Count(params string[] columnNames) =>
        Aggregate(columnNames, numericOnly: false, column => new Int64DataFrameColumn(column.Name), group => group.Length - group.NullCount);

    public override DataFrame First(params string[] columnNames) =>
        Aggregate(columnNames, numericOnly: false, column => column.Empty(), group => group.Length == 0 ? null : group[0]);

    public override DataFrame Max(params string[] columnNames) =>
        Aggregate(columnNames, numericOnly: true, column => column.Empty(), group => group.Max());

    public override DataFrame Mean(params string[] columnNames) =>
        Aggregate(columnNames, numericOnly: true, column => new DoubleDataFrameColumn(column.Name), group => group.Length == group.NullCount ? null : group.Mean());

    public override DataFrame Min(params string[] columnNames) =>
        Aggregate(columnNames, numericOnly: true, column => column.Empty(), group => group.Min());

    public override DataFrame Sum(params string[] columnNames) =>
        Aggregate(columnNames, numericOnly: true, column => column.Empty(), group => group.Sum());

    private DataFrame Aggregate(
        string[] columnNames, bool numericOnly, Func<DataFrameColumn, DataFrameColumn> create, Func<DataFrameColumn, object?> value)
    {
        var keyColumn = _frame.Columns[_keyColumn];
        var columns = columnNames is { Length: > 0 }
            ? columnNames.Select(name => _frame.Columns[name])
            : _frame.Columns.Where(column => column != keyColumn && (!numericOnly || column.IsNumericColumn()));
        var keys = keyColumn.Empty();
        foreach (var key in _groups.Keys)
        {
            keys.AppendValue(key, null);
        }

        var results = new List<DataFrameColumn> { keys };
        foreach (var column in columns)
        {
            var result = create(column);
            foreach (var rows in _groups.Values)
            {
                result.AppendValue(value(column.Take([.. rows])), null);
            }

            results.Add(result);
        }

        return new DataFrame(results);
    }
}
