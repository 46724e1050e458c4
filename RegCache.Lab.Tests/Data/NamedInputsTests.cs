using System.Text;
using RegCache.Lab.Data;
using RegCache.Lab.Tests.Data.Images;

namespace RegCache.Lab.Tests.Data;

public sealed class NamedInputsTests : IDisposable
{
    private readonly ScratchFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void FilesAndFoldersComeInTheOrderGiven()
    {
        var one = _folder.Copy("png-rgb-8.png", "one.png");
        _folder.Copy("jpeg-grey.jpg", "set", "b.jpg");
        _folder.Copy("png-1x1.png", "set", "a.png");
        using var images = NamedImages.Open([Path.Combine(_folder.Root, "set"), one]);
        Assert.Equal(["a.png", "b.jpg", "one.png"], Enumerable.Range(0, images.Count).Select(index => Path.GetFileName(images.Name(index))));
        using var image = images.Load(2);
        Assert.True(image.Width > 1);
        Assert.Contains("2 images", Assert.Single(images.Inventories).ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void AMissingFileIsRefusedAtOnceUnlessTheReaderMaySkipIt()
    {
        var missing = Path.Combine(_folder.Root, "none.png");
        Assert.Equal($"The image {missing} cannot be read: there is no such file.", Assert.Throws<UserException>(() => NamedImages.Open([missing])).Message);
        using var images = NamedImages.Open([missing], skipMissing: true);
        Assert.Contains("there is no such file", Assert.Throws<UserException>(() => images.Load(0)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void WhatIsSetAboutDecodingHoldsForFilesAndSets()
    {
        var one = _folder.Copy("png-rgb-8.png", "one.png");
        _folder.Copy("jpeg-grey.jpg", "set", "b.jpg");
        using var images = NamedImages.Open([one, Path.Combine(_folder.Root, "set")], decoding: new() { MaxPixels = 100 });
        for (var index = 0; index < images.Count; index++)
        {
            Assert.Contains("more than the 100 that are accepted", Assert.Throws<UserException>(() => images.Load(index)).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void StandardInputHoldsOneImage() =>
        Assert.Contains("more than once", Assert.Throws<UserException>(() => NamedImages.Open(["-", "-"])).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("a cat\na dog\n", "a cat", "a dog")]
    [InlineData("\ufeffun café\r\nzwei", "un café", "zwei")]
    [InlineData("one", "one")]
    public void CaptionsAreLines(string content, params string[] expected) =>
        Assert.Equal(expected, CaptionLines.Read(_folder.Write(Encoding.UTF8.GetBytes(content), "captions.txt")));

    [Theory]
    [InlineData("a cat\n\na dog\n", "Line 2")]
    [InlineData("", "Line 1")]
    [InlineData("a\n  \n", "Line 2")]
    public void AnEmptyLineIsNamed(string content, string line)
    {
        var path = _folder.Write(Encoding.UTF8.GetBytes(content), "captions.txt");
        var error = Assert.Throws<UserException>(() => CaptionLines.Read(path));
        Assert.StartsWith($"{line} of the captions {path} is empty", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AnotherCharacterSetIsNamedByItsLine()
    {
        var path = _folder.Write([.. "ok\ncaf"u8, 0xE9, .. "\n"u8], "captions.txt");
        Assert.StartsWith($"Line 2 of the captions {path} is not UTF-8", Assert.Throws<UserException>(() => CaptionLines.Read(path)).Message, StringComparison.Ordinal);
    }
}
