using RegCache.Lab.Reports;
using Xunit;

namespace RegCache.Lab.Tests.Reports;

public sealed class CsvTableTests
{
    private static readonly CsvRow[] Rows =
    [
        new("ViT-B/16", 8, 29155, 58.31, null),
        new("a, \"quoted\"\nname ä", 4, long.MaxValue, 1.0 / 3, double.Epsilon),
        new("", 6, -1, -0.0, 1e300),
    ];

    [Fact]
    public void ColumnsAreSnakeCaseAndNumbersInvariant()
    {
        using var folder = new TemporaryFolder();
        CsvTable.Write(folder["a.csv"], Rows[..1]);
        Assert.Equal("model,w_bits,correct,val_top1,mse\nViT-B/16,8,29155,58.31,\n", File.ReadAllText(folder["a.csv"]));
    }

    [Fact]
    public void RowsComeBackToTheBit()
    {
        using var folder = new TemporaryFolder();
        CsvTable.Write(folder["a.csv"], Rows);
        Assert.Equal(Rows, CsvTable.Read<CsvRow>(folder["a.csv"]));
    }

    [Fact]
    public void AppendingAddsARow()
    {
        using var folder = new TemporaryFolder();
        foreach (var row in Rows)
        {
            CsvTable.Append(folder["a.csv"], row);
        }

        Assert.Equal(Rows, CsvTable.Read<CsvRow>(folder["a.csv"]));
    }

    [Fact]
    public void AnEmptyTableHasItsColumns()
    {
        using var folder = new TemporaryFolder();
        CsvTable.Write<CsvRow>(folder["a.csv"], []);
        Assert.Equal("model,w_bits,correct,val_top1,mse\n", File.ReadAllText(folder["a.csv"]));
        Assert.Empty(CsvTable.Read<CsvRow>(folder["a.csv"]));
    }

    [Theory]
    [InlineData("", "has other columns")]
    [InlineData("model,w_bits\nx,8\n", "has other columns")]
    [InlineData("model,w_bits,correct,val_top1,mse,more\nx,8,1,1,1,1\n", "has other columns")]
    [InlineData("model,w_bits,correct,val_top1,mse\nx,eight,1,1,1\n", "record 2 does not fit")]
    [InlineData("model,w_bits,correct,val_top1,mse\nx,8,1,1,1\nx,8,1\n", "record 3 does not fit")]
    public void OtherTablesAreRefusedAndKept(string content, string expected)
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["a.csv"], content);
        var error = Assert.Throws<UserException>(() => CsvTable.Append(folder["a.csv"], Rows[0]));
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.Contains(folder["a.csv"], error.Message, StringComparison.Ordinal);
        Assert.Equal(content, File.ReadAllText(folder["a.csv"]));
    }

    [Fact]
    public void AMissingTableIsNamed()
    {
        using var folder = new TemporaryFolder();
        var error = Assert.Throws<UserException>(() => CsvTable.Read<CsvRow>(folder["none.csv"]));
        Assert.Contains("there is no such file", error.Message, StringComparison.Ordinal);
    }
}
