using System.Collections;
using System.Globalization;

namespace Microsoft.Data.Analysis;

public class StringDataFrameColumn : DataFrameColumn, IEnumerable<string?>
{
    private readonly List<string?> _values = [];

    public StringDataFrameColumn(string name, IEnumerable<string?> values)
        : this(name)
    {
        _values.AddRange(values);
        Length = _values.Count;
    }

    public StringDataFrameColumn(string name, long length = 0)
        : base(name, length, typeof(string)) => _values.AddRange(Enumerable.Repeat<string?>(null, checked((int)length)));

    public new string? this[long rowIndex]
    {
        get => _values[checked((int)rowIndex)];
        set => _values[checked((int)rowIndex)] = value;
    }

    public override long NullCount => _values.Count(value => value is null);

    public void Append(string? value)
    {
        _values.Add(value);
        Length = _values.Count;
    }

    public IEnumerator<string?> GetEnumerator() => _values.GetEnumerator();

    protected override DataFrameColumn CloneImplementation(long numberOfNullsToAppend) =>
        new StringDataFrameColumn(Name, _values.Concat(Enumerable.Repeat<string?>(null, checked((int)numberOfNullsToAppend))));

    protected override IEnumerator GetEnumeratorCore() => GetEnumerator();

    protected override object? GetValue(long rowIndex) => this[rowIndex];

    protected override void SetValue(long rowIndex, object? value) => this[rowIndex] = (string?)value;

    internal override DataFrameColumn Take(IReadOnlyList<long> rows) =>
        new StringDataFrameColumn(Name, rows.Select(row => row < 0 ? null : this[row]));

    internal override void AppendValue(object? value, IFormatProvider? culture) =>
        Append(value is null ? null : Convert.ToString(value, culture));

    internal override DataFrameColumn Empty() => new StringDataFrameColumn(Name);

    internal override int CompareValues(object left, object right) =>
        string.CompareOrdinal((string)left, Convert.ToString(right, CultureInfo.InvariantCulture));
}
