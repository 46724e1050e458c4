using System.Collections;

namespace Microsoft.Data.Analysis;

public class DataFrameRow : IEnumerable<object?>
{
    private readonly DataFrame _frame;
    private readonly long _index;

    internal DataFrameRow(DataFrame frame, long index)
    {
        _frame = frame;
        _index = index;
    }

    public object? this[int index]
    {
        get => _frame.Columns[index][_index];
        set => _frame.Columns[index][_index] = value;
    }

    public object? this[string columnName]
    {
        get => _frame[columnName][_index];
        set => _frame[columnName][_index] = value;
    }

    public IEnumerator<object?> GetEnumerator() => _frame.Columns.Select(column => column[_index]).GetEnumerator();

    public IEnumerable<KeyValuePair<string, object?>> GetValues() =>
        _frame.Columns.Select(column => KeyValuePair.Create(column.Name, column[_index]));

    public override string ToString() => string.Join(" ", this);

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
