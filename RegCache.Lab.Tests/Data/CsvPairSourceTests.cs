using System.Text;
using RegCache.Lab.Data;
using RegCache.Lab.Tests.Data.Images;

namespace RegCache.Lab.Tests.Data;

public sealed class CsvPairSourceTests : IDisposable
{
    private readonly ScratchFolder _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public void TablesOfOpenCLIPAreRead()
    {
        _scratch.Copy("jpeg-420.jpg", "0.jpg");
        using var source = Open("filepath\ttitle\n0.jpg\ta red circle\n0.jpg\t\"two\tcolumns \"\"quoted\"\"\"\n");
        Assert.Equal(["a red circle", "two\tcolumns \"quoted\""], [source.Caption(0), source.Caption(1)]);
        using var image = source.Load(1);
        Assert.True(image.Width > 0);
        Assert.Contains("2 image-text pairs", source.Inventory.Found, StringComparison.Ordinal);
    }

    [Fact]
    public void SeparatorAndColumnsCanBeNamed()
    {
        using var source = Open("id,caption,image\n1,\"a, b\",x.jpg\n", new(',', "image", "caption"));
        Assert.Equal("a, b", source.Caption(0));
        Assert.EndsWith("x.jpg", source.Name(0), StringComparison.Ordinal);
        Assert.Contains("x.jpg", Assert.Throws<UserException>(() => source.Load(0)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void RowsWithoutImageOrCaptionAreCounted()
    {
        using var source = Open("filepath\ttitle\n0.jpg\tx\n1.jpg\t\n\ty\n2.jpg\n");
        Assert.Equal(1, source.Count);
        Assert.Equal(
            ["rows without a caption: 2 (row 2, row 4)", "rows without an image: 1 (row 3)"],
            source.Inventory.LeftOut.Select(reason => reason.ToString()));
    }

    [Theory]
    [InlineData("filepath,title\n0.jpg,x\n", "no column `filepath` (`csv_img_key`) but `filepath,title`, with a tab between columns (`csv_separator`)")]
    [InlineData("filepath\ttext\n0.jpg\tx\n", "no column `title` (`csv_caption_key`) but `filepath`, `text`")]
    [InlineData("filepath\ttitle\n", "no rows below its header")]
    [InlineData("filepath\ttitle\n0.jpg\t\n", "left out: rows without a caption: 1")]
    [InlineData("filepath\ttitle\n0.jpg\t\"open\n", "quotes of row")]
    public void TablesThatDoNotFitAreRefusedByName(string content, string expected)
    {
        var message = Assert.Throws<UserException>(() => Open(content)).Message;
        Assert.Contains(expected, message, StringComparison.Ordinal);
        Assert.Contains("pairs.csv", message, StringComparison.Ordinal);
    }

    [Fact]
    public void OtherEncodingsAreRefusedOrRead()
    {
        var latin = _scratch.Write(Encoding.Latin1.GetBytes("filepath\ttitle\n0.jpg\tcaf\u00E9\n"), "latin.csv");
        Assert.Contains("latin.csv is not UTF-8", Assert.Throws<UserException>(() => new CsvPairSource(latin, new())).Message, StringComparison.Ordinal);
        var wide = _scratch.Write([0xFF, 0xFE, .. Encoding.Unicode.GetBytes("filepath\ttitle\n0.jpg\tcaf\u00E9\n")], "wide.csv");
        using var source = new CsvPairSource(wide, new());
        Assert.Equal("caf\u00E9", source.Caption(0));
    }

    private CsvPairSource Open(string content, CsvPairOptions? options = null) =>
        new(_scratch.Write(Encoding.UTF8.GetBytes(content), "pairs.csv"), options ?? new());
}
