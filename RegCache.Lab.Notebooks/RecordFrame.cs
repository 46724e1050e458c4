using System.Reflection;
using Microsoft.Data.Analysis;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Notebooks;

/// <summary>Result records as data frames: one row a record, one column a property.</summary>
public static class RecordFrame
{
    /// <summary>Turns records into a frame, in their order.</summary>
    /// <typeparam name="T">The record's type; its public properties become columns of the same names.</typeparam>
    /// <param name="records">The records. Numbers and truth values keep their type, all else becomes text; null stays empty.</param>
    public static DataFrame ToDataFrame<T>(this IEnumerable<T> records)
    {
        var rows = records.ToList();
        return new(typeof(T).GetProperties(BindingFlags.Public | BindingFlags.Instance)
            .Where(property => property.GetIndexParameters().Length == 0)
            .Select(property => Column(property.Name, property.PropertyType, [.. rows.Select(row => property.GetValue(row))])));
    }

    /// <summary>A published table as a frame: what its rows are of, its numbers under measure and unit, and where they were read.</summary>
    public static DataFrame ToDataFrame(this PublishedTable table) => new(
    [
        .. table.Keys.Select(key => new StringDataFrameColumn(key, table.Rows.Select(row => row[key]!))),
        .. table.Measures.Select(measure => new DoubleDataFrameColumn(
            measure.Value.Unit.Length > 0 ? $"{measure.Key}, {measure.Value.Unit}" : measure.Key,
            table.Rows.Select(row => row.Values.TryGetValue(measure.Key, out var value) ? value : (double?)null))),
        new StringDataFrameColumn("source", table.Rows.Select(row => $"{table.SourceOf(row).Hand.ToString().ToLowerInvariant()} hand, {table.SourceOf(row).Where}")),
    ]);

    private static DataFrameColumn Column(string name, Type type, object?[] values) =>
        (Nullable.GetUnderlyingType(type) ?? type) switch
        {
            var number when number == typeof(int) => new Int32DataFrameColumn(name, values.Select(value => (int?)value)),
            var number when number == typeof(long) => new Int64DataFrameColumn(name, values.Select(value => (long?)value)),
            var number when number == typeof(float) => new SingleDataFrameColumn(name, values.Select(value => (float?)value)),
            var number when number == typeof(double) => new DoubleDataFrameColumn(name, values.Select(value => (double?)value)),
            var truth when truth == typeof(bool) => new BooleanDataFrameColumn(name, values.Select(value => (bool?)value)),
            _ => new StringDataFrameColumn(name, values.Select(value => value?.ToString()!)),
        };
}
