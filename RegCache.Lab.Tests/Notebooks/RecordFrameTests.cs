using RegCache.Lab.Notebooks;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Tests.Notebooks;

public sealed class RecordFrameTests
{
    private enum Kind
    {
        First,
        Second,
    }

    private sealed record Row(string Name, int Count, double? Share, Kind Kind, bool IsLast);

    [Fact]
    public void NumbersStayNumbersAndNothingStaysEmpty()
    {
        var frame = new[] { new Row("a", 1, 0.5, Kind.First, false), new Row("b", 2, null, Kind.Second, true) }.ToDataFrame();
        Assert.Equal(["Name", "Count", "Share", "Kind", "IsLast"], frame.Columns.Select(column => column.Name));
        Assert.Equal([typeof(string), typeof(int), typeof(double), typeof(string), typeof(bool)], frame.Columns.Select(column => column.DataType));
        Assert.Equal(["b", 2, null, "Second", true], frame.Rows[1]);
    }

    [Fact]
    public void NoRecordsGiveTheColumns() => Assert.Equal(5, Array.Empty<Row>().ToDataFrame().Columns.Count);
}
