using System.Collections;

namespace Microsoft.Data.Analysis;

public abstract class DataFrameColumn : IEnumerable
{
    protected DataFrameColumn(string name, long length, Type type)
    {
        Name = name;
        DataType = type;
        Length = length;
    }

    public Type DataType { get; }

    public object? this[long rowIndex]
    {
        get => GetValue(rowIndex);
        set => SetValue(rowIndex, value);
    }

    public long Length { get; protected internal set; }

    public string Name { get; private set; }

    public abstract long NullCount { get; }

    public static StringDataFrameColumn Create(string name, IEnumerable<string> values) => new(name, values);

    public static PrimitiveDataFrameColumn<T> Create<T>(string name, IEnumerable<T> values)
        where T : unmanaged => new(name, values);

    public static PrimitiveDataFrameColumn<T> Create<T>(string name, IEnumerable<T?> values)
        where T : unmanaged => new(name, values);

    public DataFrameColumn Clone(long numberOfNullsToAppend = 0) => CloneImplementation(numberOfNullsToAppend);

    public virtual DataFrameColumn Description() => throw new NotSupportedException($"The column {Name} has no numbers to describe.");

    public virtual PrimitiveDataFrameColumn<bool> ElementwiseEquals<T>(T value) => Compare(value, order => order == 0);

    public virtual PrimitiveDataFrameColumn<bool> ElementwiseGreaterThan<T>(T value) => Compare(value, order => order > 0);

    public virtual PrimitiveDataFrameColumn<bool> ElementwiseGreaterThanOrEqual<T>(T value) => Compare(value, order => order >= 0);

    public virtual PrimitiveDataFrameColumn<bool> ElementwiseLessThan<T>(T value) => Compare(value, order => order < 0);

    public virtual PrimitiveDataFrameColumn<bool> ElementwiseLessThanOrEqual<T>(T value) => Compare(value, order => order <= 0);

    public virtual PrimitiveDataFrameColumn<bool> ElementwiseNotEquals<T>(T value) => Compare(value, order => order != 0, whereNull: true);

    public virtual bool HasDescription() => false;

    public virtual bool IsNumericColumn() => false;

    public virtual object? Max() => throw NotNumeric();

    public virtual double Mean() => throw NotNumeric();

    public virtual double Median() => throw NotNumeric();

    public virtual object? Min() => throw NotNumeric();

    public void SetName(string newName) => Name = newName;

    public virtual object? Sum() => throw NotNumeric();

    public override string ToString() => $"{Name}: {string.Join(", ", this.Cast<object?>())}";

    protected abstract DataFrameColumn CloneImplementation(long numberOfNullsToAppend = 0);

    protected abstract IEnumerator GetEnumeratorCore();

    protected abstract object? GetValue(long rowIndex);

    protected abstract void SetValue(long rowIndex, object? value);

    IEnumerator IEnumerable.GetEnumerator() => GetEnumeratorCore();

    /// <summary>The rows at some indices, in that order; -1 becomes a null.</summary>
    internal abstract DataFrameColumn Take(IReadOnlyList<long> rows);

    internal abstract void AppendValue(object? value, IFormatProvider? culture);

    /// <summary>An empty column of the same type.</summary>
    internal abstract DataFrameColumn Empty();

    internal abstract int CompareValues(object left, object right);

    internal long[] SortIndices(bool ascending, bool putNullValuesLast)
    {
        var rows = new long[Length];
        for (var row = 0L; row < Length; row++)
        {
            rows[row] = row;
        }

        var valid = rows.Where(row => this[row] is not null);
        var comparer = Comparer<long>.Create((left, right) => CompareValues(this[left]!, this[right]!));
        var sorted = ascending ? valid.Order(comparer) : valid.OrderDescending(comparer);
        var nulls = rows.Where(row => this[row] is null);
        return [.. putNullValuesLast ? sorted.Concat(nulls) : nulls.Concat(sorted)];
    }

    internal object Require(object? value) => value ?? throw new ArgumentException($"The column {Name} is compared with no value.");

    private BooleanDataFrameColumn Compare<T>(T value, Func<int, bool> holds, bool whereNull = false)
    {
        var wanted = Require(value);
        return new BooleanDataFrameColumn(
            Name, this.Cast<object?>().Select(item => item is null ? whereNull : holds(CompareValues(item, wanted))));
    }

    private NotSupportedException NotNumeric() => new($"The column {Name} holds no numbers.");
}
