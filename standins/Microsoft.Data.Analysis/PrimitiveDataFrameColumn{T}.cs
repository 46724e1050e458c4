using System.Collections;
using System.Globalization;

namespace Microsoft.Data.Analysis;

public class PrimitiveDataFrameColumn<T> : DataFrameColumn, IEnumerable<T?>
    where T : unmanaged
{
    private readonly List<T?> _values = [];

    public PrimitiveDataFrameColumn(string name, IEnumerable<T?> values)
        : this(name) => AddRange(values);

    public PrimitiveDataFrameColumn(string name, IEnumerable<T> values)
        : this(name) => AddRange(values.Select(value => (T?)value));

    public PrimitiveDataFrameColumn(string name, long length = 0)
        : base(name, 0, typeof(T)) => AddRange(Enumerable.Repeat<T?>(default(T), checked((int)length)));

    public new T? this[long rowIndex]
    {
        get => _values[checked((int)rowIndex)];
        set => _values[checked((int)rowIndex)] = value;
    }

    public override long NullCount => _values.Count(value => value is null);

    public void Append(T? value)
    {
        _values.Add(value);
        Length = _values.Count;
    }

    public override DataFrameColumn Description() => new PrimitiveDataFrameColumn<float>(
        Name,
        new float?[] { Length - NullCount, ToSingle(Max()), ToSingle(Min()), _values.Any(value => value is not null) ? (float)Mean() : null });

    public IEnumerator<T?> GetEnumerator() => _values.GetEnumerator();

    public override bool HasDescription() => IsNumericColumn();

    public override bool IsNumericColumn() =>
        Type.GetTypeCode(typeof(T)) is >= TypeCode.SByte and <= TypeCode.Decimal;

    public override object? Max() => Valid().DefaultIfEmpty().Max();

    public override double Mean() => Numbers().Average();

    public override double Median()
    {
        var sorted = Numbers().Order().ToArray();
        return sorted.Length == 0
            ? throw new InvalidOperationException($"The column {Name} is empty.")
            : (sorted[(sorted.Length - 1) / 2] + sorted[sorted.Length / 2]) / 2;
    }

    public override object? Min() => Valid().DefaultIfEmpty().Min();

    public override object? Sum() => typeof(T) == typeof(decimal)
        ? Valid().Sum(value => (decimal)(object)value!)
        : Convert.ChangeType(Numbers().Sum(), typeof(T), CultureInfo.InvariantCulture);

    protected override DataFrameColumn CloneImplementation(long numberOfNullsToAppend)
    {
        var copy = (PrimitiveDataFrameColumn<T>)Empty();
        copy.AddRange(_values.Concat(Enumerable.Repeat<T?>(null, checked((int)numberOfNullsToAppend))));
        return copy;
    }

    protected override IEnumerator GetEnumeratorCore() => GetEnumerator();

    protected override object? GetValue(long rowIndex) => this[rowIndex];

    protected override void SetValue(long rowIndex, object? value) => this[rowIndex] = Converted(value, CultureInfo.InvariantCulture);

    internal override DataFrameColumn Take(IReadOnlyList<long> rows)
    {
        var taken = (PrimitiveDataFrameColumn<T>)Empty();
        taken.AddRange(rows.Select(row => row < 0 ? null : this[row]));
        return taken;
    }

    internal override void AppendValue(object? value, IFormatProvider? culture) => Append(Converted(value, culture));

    internal override DataFrameColumn Empty() => typeof(T) switch
    {
        _ when typeof(T) == typeof(bool) => new BooleanDataFrameColumn(Name),
        _ when typeof(T) == typeof(int) => new Int32DataFrameColumn(Name),
        _ when typeof(T) == typeof(long) => new Int64DataFrameColumn(Name),
        _ when typeof(T) == typeof(float) => new SingleDataFrameColumn(Name),
        _ when typeof(T) == typeof(double) => new DoubleDataFrameColumn(Name),
        _ when typeof(T) == typeof(DateTime) => new DateTimeDataFrameColumn(Name),
        _ => new PrimitiveDataFrameColumn<T>(Name),
    };

    internal override int CompareValues(object left, object right) => IsNumericColumn() && right is IConvertible
        ? Number(left).CompareTo(Number(right))
        : Comparer<T>.Default.Compare((T)left, Converted(right, CultureInfo.InvariantCulture)!.Value);

    private static double Number(object value) => Convert.ToDouble(value, CultureInfo.InvariantCulture);

    private static float? ToSingle(object? value) => value is null ? null : Convert.ToSingle(value, CultureInfo.InvariantCulture);

    private static T? Converted(object? value, IFormatProvider? culture) => value switch
    {
        null => null,
        T typed => typed,
        string text when text.Length == 0 => null,
        _ => (T)Convert.ChangeType(value, typeof(T), culture ?? CultureInfo.CurrentCulture),
    };

    private IEnumerable<T?> Valid() => _values.Where(value => value is not null);

    private IEnumerable<double> Numbers() => IsNumericColumn()
        ? Valid().Select(value => Number(value!))
        : throw new NotSupportedException($"The column {Name} holds no numbers.");

    private void AddRange(IEnumerable<T?> values)
    {
        _values.AddRange(values);
        Length = _values.Count;
    }
}
