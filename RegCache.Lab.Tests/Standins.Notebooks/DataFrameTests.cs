using System.Text;
using Microsoft.Data.Analysis;
using RegCache.Lab.Tests.House;

namespace RegCache.Lab.Tests.Standins.Notebooks;

public sealed class DataFrameTests
{
    private static DataFrame Frame() => new(
        new StringDataFrameColumn("method", ["naive", "repq", "naive", null]),
        new Int32DataFrameColumn("bits", [8, 6, 6, 4]),
        new DoubleDataFrameColumn("accuracy", [0.5, null, 0.25, 0.75]));

    [Fact]
    public void Rows_columns_and_cells()
    {
        var frame = Frame();
        Assert.Equal((4L, 3), (frame.Rows.Count, frame.Columns.Count));
        Assert.Equal("repq", frame["method"][1]);
        Assert.Null(frame[1, 2]);
        frame.Rows[1]["accuracy"] = 0.125;
        Assert.Equal(0.125, frame.Columns.GetDoubleColumn("accuracy")[1]);
        Assert.Throws<ArgumentException>(() => frame["missing"]);
        Assert.Throws<ArgumentException>(() => frame.Columns.Add(new Int32DataFrameColumn("short", [1])));
        Assert.Throws<ArgumentException>(() => frame.Columns.Add(new Int32DataFrameColumn("bits", 4)));
    }

    [Fact]
    public void Filter_sort_head_and_tail()
    {
        var frame = Frame();
        Assert.Equal([8, 6], Bits(frame.Filter(frame["method"].ElementwiseEquals("naive"))));
        Assert.Equal([8, 4], Bits(frame[frame["accuracy"].ElementwiseGreaterThan(0.3)]));
        Assert.Equal([6, 8, 4, 6], Bits(frame.OrderBy("accuracy")));
        Assert.Equal([4, 8, 6, 6], Bits(frame.OrderByDescending("accuracy")));
        Assert.Equal([8, 6], Bits(frame.Head(2)));
        Assert.Equal([6, 4], Bits(frame.Tail(2)));
    }

    [Fact]
    public void Groups_are_counted_and_averaged()
    {
        var groups = Frame().GroupBy("method");
        var mean = groups.Mean("bits", "accuracy");
        Assert.Equal(["naive", "repq"], mean.Columns.GetStringColumn("method"));
        Assert.Equal([7.0, 6.0], mean.Columns.GetDoubleColumn("bits").Select(value => value!.Value));
        Assert.Equal([0.375, null], mean.Columns.GetDoubleColumn("accuracy"));
        Assert.Equal([2L, 0L], groups.Count("accuracy").Columns.GetInt64Column("accuracy").Select(value => value!.Value));
        Assert.Equal([8, 6], Bits(groups.Max("bits")));
        Assert.Equal([14, 6], Bits(groups.Sum("bits")));
    }

    [Fact]
    public void Description_has_length_max_min_and_mean()
    {
        var description = Frame().Description();
        Assert.Equal(["Description", "bits", "accuracy"], description.Columns.Select(column => column.Name));
        Assert.Equal(new float?[] { 3, 0.75f, 0.25f, 0.5f }, description.Columns.GetPrimitiveColumn<float>("accuracy"));
    }

    [Fact]
    public void Csv_comes_back_as_it_was_written()
    {
        using var folder = new TemporaryFolder();
        var frame = Frame();
        frame["method"][0] = "a \"quoted\",\nline";
        DataFrame.SaveCsv(frame, folder["f.csv"]);
        var read = DataFrame.LoadCsv(folder["f.csv"], dataTypes: [typeof(string), typeof(int), typeof(double)]);
        Assert.Equal(frame["method"][0], read["method"][0]);
        Assert.Equal(Bits(frame), Bits(read));
        Assert.Null(read["accuracy"][1]);
    }

    [Fact]
    public void Csv_types_are_guessed()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["f.csv"], "a;b;c;d\n1;true;2026-01-02;x\n2.5;false;2026-01-03;\n", Encoding.UTF8);
        var frame = DataFrame.LoadCsv(folder["f.csv"], separator: ';');
        Assert.Equal([typeof(float), typeof(bool), typeof(DateTime), typeof(string)], frame.Columns.Select(column => column.DataType));
        Assert.Throws<FormatException>(() =>
        {
            File.WriteAllText(folder["f.csv"], "a,b\n1\n");
            DataFrame.LoadCsv(folder["f.csv"]);
        });
    }

    [Fact]
    public void Rows_are_appended_to_a_copy_or_in_place()
    {
        var frame = Frame();
        Assert.Equal(5, frame.Append(["new", 2, 0.5]).Rows.Count);
        Assert.Equal(4, frame.Rows.Count);
        frame.Append(["new", 2, null], inPlace: true);
        Assert.Equal((5L, 2L), (frame.Rows.Count, frame["accuracy"].NullCount));
    }

    private static int[] Bits(DataFrame frame) => [.. frame.Columns.GetInt32Column("bits").Select(value => value!.Value)];
}
