using System.IO.Compression;
using System.Text;
using RegCache.Lab.Data;
using RegCache.Lab.Tests.Data.Images;

namespace RegCache.Lab.Tests.Data;

public sealed class WebDatasetTests : IDisposable
{
    private static readonly byte[] _image = File.ReadAllBytes(Path.Combine(PillowCases.Folder, "jpeg-420.jpg"));
    private readonly ScratchFolder _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public void OwnersAndDatesThatNoTypeHoldsDoNotMatter()
    {
        var tar = new TarBytes()
            .Add("0.jpg", _image, change: header => TarBytes.PutBinary(header, 108, 8, 4294967294))
            .Add("0.txt", "owner in base 256", change: header => TarBytes.PutBinary(header, 116, 8, 4294967294))
            .Add("1.jpg", _image, change: header => TarBytes.PutBinary(header, 136, 12, ulong.MaxValue))
            .Add("1.txt", "a date far away", change: header => TarBytes.Put(header, 136, "not a number"))
            .AddRecords(("uid", "4294967294"), ("mtime", "1700000000000.5"), ("gid", "999999999999999999999"))
            .Add("2.jpg", _image)
            .AddRecords(("atime", "-1e400"))
            .Add("2.txt", "PAX");
        using var source = Open(tar.Ended);
        Assert.Equal(["owner in base 256", "a date far away", "PAX"], Captions(source));
        Assert.Empty(source.Inventory.LeftOut);
        Assert.Empty(source.Inventory.Warnings);
        using var image = source.Load(2);
        Assert.True(image.Width > 0);
    }

    [Fact]
    public void LongNamesAreReadInEveryFormat()
    {
        var deep = string.Join('/', Enumerable.Repeat("folder-with-a-long-name", 6));
        var tar = new TarBytes()
            .Add("././@LongLink", $"{deep}/gnu.jpg\0", 'L').Add("cut off", _image)
            .Add("././@LongLink", $"{deep}/gnu.txt\0", 'L').Add("cut off", "gnu")
            .AddRecords(("path", $"{deep}/pax.jpg")).Add("cut off", _image)
            .AddRecords(("path", $"{deep}/pax.txt"), ("size", "3")).Add("cut off", "pax", change: header => TarBytes.Put(header, 124, "77777777777\0"))
            .Add("ustar.jpg", _image, change: header => TarBytes.Put(header, 345, deep[..140]))
            .Add("ustar.txt", "ustar", change: header => TarBytes.Put(header, 345, deep[..140]));
        using var source = Open(tar.Ended);
        Assert.Equal(["gnu", "pax", "ustar"], Captions(source));
        Assert.EndsWith($"{deep}/gnu.jpg", source.Name(0), StringComparison.Ordinal);
        Assert.EndsWith($"{deep}/pax.jpg", source.Name(1), StringComparison.Ordinal);
        Assert.EndsWith($"{deep[..140]}/ustar.jpg", source.Name(2), StringComparison.Ordinal);
    }

    [Fact]
    public void AMembersOwnRecordsGoBeforeThoseOfAll()
    {
        var tar = new TarBytes()
            .AddRecords('g', ("path", "0.txt"), ("size", "4"))
            .AddRecords(("path", "0.jpg"), ("size", $"{_image.Length}")).Add("cut off", _image)
            .Add("cut off", "text", change: header => TarBytes.Put(header, 124, "77777777777\0"));
        using var source = Open(tar.Ended);
        Assert.EndsWith("0.jpg", source.Name(0), StringComparison.Ordinal);
        Assert.Equal(["text"], Captions(source));
        using var image = source.Load(0);
        Assert.True(image.Width > 0);
    }

    [Fact]
    public void HeadersWithASignedSumAreRead()
    {
        var shard = new TarBytes().Add("caf\u00E9.jpg", _image).Add("caf\u00E9.txt", "a").Ended;
        var text = TarBytes.Block + ((_image.Length + TarBytes.Block - 1) / TarBytes.Block * TarBytes.Block);
        TarBytes.Seal(shard.AsSpan(0, TarBytes.Block), signed: true);
        TarBytes.Seal(shard.AsSpan(text, TarBytes.Block), signed: true);
        using var source = Open(shard);
        Assert.EndsWith("caf\u00E9.jpg", source.Name(0), StringComparison.Ordinal);
        Assert.Equal(["a"], Captions(source));
    }

    [Fact]
    public void AShardWithoutItsEndIsUsedWithAWarning()
    {
        var half = Pairs(2);
        using var source = Open(half.Open);
        Assert.Equal(2, source.Count);
        Assert.Contains("no end mark", Assert.Single(source.Inventory.Warnings), StringComparison.Ordinal);
        Assert.Contains("1.txt", source.Inventory.Warnings[0], StringComparison.Ordinal);
        using var one = Open([.. half.Open, .. new byte[TarBytes.Block]]);
        Assert.Empty(one.Inventory.Warnings);
    }

    [Fact]
    public void ArchivesBehindTheEndAreTold()
    {
        using var source = Open([.. Pairs(1).Ended, .. new byte[9000], .. Pairs(1).Ended]);
        Assert.Equal(1, source.Count);
        Assert.Contains("goes on behind its end mark", Assert.Single(source.Inventory.Warnings), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(300, "no tar file")]
    [InlineData(600, "cut off in 0.jpg")]
    [InlineData(-500, "cut off in end.txt")]
    [InlineData(-600, "cut off in the header behind 1.txt")]
    public void AShardThatIsCutOffIsRefusedWithThePlace(int length, string expected)
    {
        var whole = Pairs(2).Add("end.txt", new string('x', 400)).Open;
        AssertRefused(expected, length > 0 ? whole[..length] : whole[..^-length]);
    }

    [Fact]
    public void AnEmptyShardAmongGoodOnesIsTold()
    {
        var (empty, good) = (_scratch.Write([], "0.tar"), _scratch.Write(Pairs(2).Ended, "1.tar"));
        using var source = new WebDatasetSource([empty, good]);
        Assert.Equal(2, source.Count);
        Assert.Contains($"{empty} is empty", Assert.Single(source.Inventory.Warnings), StringComparison.Ordinal);
        AssertRefused("is empty", []);
    }

    [Fact]
    public void ShardsPackedWithGzipAreRead()
    {
        var path = _scratch.Write(Gzip(Pairs(3).Ended), "0.tar.gz");
        using var source = new WebDatasetSource([path]);
        Assert.Equal(["caption 0", "caption 1", "caption 2"], Captions(source));
        using var image = source.Load(1);
        Assert.True(image.Width > 0);
        AssertRefused("cut off", Gzip(Pairs(3).Ended)[..^400]);
        AssertRefused("packed with gzip and damaged or cut off", [0x1F, 0x8B, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    }

    [Theory]
    [InlineData("BZh91AY&SY and so on", "a bzip2 file")]
    [InlineData("filepath\ttitle\n0.jpg\tx\n", "a text file")]
    [InlineData("<!DOCTYPE html><html><body>404</body></html>", "an HTML page")]
    [InlineData("version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "a Git LFS pointer")]
    public void WhatIsNoTarFileIsNamed(string content, string kind)
    {
        AssertRefused($"is no tar file but {kind}", Encoding.ASCII.GetBytes(content));
        AssertRefused($"is no tar file but {kind}", Encoding.ASCII.GetBytes(content.PadRight(3000)));
    }

    [Fact]
    public void EveryReasonForNoPairHasItsOwnSentence()
    {
        var apart = new TarBytes().Add("0.jpg", _image).Add("1.jpg", _image).Add("0.txt", "a").Add("1.txt", "b");
        AssertRefused("2 images and 2 texts, 2 of them with the same key, are never side by side", apart.Ended);
        var keys = new TarBytes().Add("0/input.jpg", _image).Add("0/output.txt", "a");
        AssertRefused("1 images and 1 texts have different keys", keys.Ended);
        var classes = new TarBytes().Add("0.jpg", _image).Add("0.cls", "3").Add("0.json", "{}");
        AssertRefused("1 images have no captions, which are read from members .txt (there are .cls, .json)", classes.Ended);
        var pictures = new TarBytes().Add("0.tif", _image).Add("0.txt", "a");
        AssertRefused("1 captions have no images, which are read from members .jpg, .png, .jpeg, .webp (there are .tif)", pictures.Ended);
        var links = new TarBytes().Add("0.jpg", "", '2').Add("0.txt", "", '1').Add("README", "x");
        AssertRefused("all of its 3 members are left out", links.Ended);
        var names = new TarBytes().Add("0.input.jpg", _image).Add("0.output.txt", "a");
        AssertRefused("behind the first dot of a name there is .input.jpg, .output.txt", names.Ended);
        AssertRefused("it is empty", new byte[10240]);
        Assert.Contains("is a folder", Refusal([_scratch.Root]), StringComparison.Ordinal);
    }

    [Fact]
    public void WhatIsLeftOutIsCountedWithItsReason()
    {
        var tar = Pairs(2)
            .Add("folder/", "", '5').Add("link.jpg", "", '1').Add("pipe", "", '6').Add("README", "x").Add("__meta__.json__", "{}")
            .Add("a.jpg", _image).Add("b.txt", "b").Add("c.jpg", _image).Add("d.cls", "1").Add("c.txt", "c");
        using var source = Open(tar.Ended);
        Assert.Equal(2, source.Count);
        Assert.Equal(
            new Dictionary<string, int>
            {
                ["links to other members"] = 1,
                ["members that are no files"] = 1,
                ["members whose name has no key in front of a dot"] = 1,
                ["images without a .txt"] = 1,
                ["texts without an image"] = 1,
                ["samples with neither an image nor a .txt"] = 1,
                ["pairs whose image and text are not side by side"] = 1,
            },
            source.Inventory.LeftOut.ToDictionary(reason => reason.Reason, reason => reason.Count));
        Assert.Contains("2 image-text pairs. Left out:", source.Inventory.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void CaptionsThatWereReadInAWrongCharacterSetAreTold()
    {
        var (wrong, right) = ("caf\u00C3\u00A9 terrace", "Caf\u00E9 \u00C4\u201C \u00C3 la carte, \u201Ena\u00EFve\u201D \u2026");
        using var source = Open(new TarBytes().Add("0.jpg", _image).Add("0.txt", wrong).Add("1.jpg", _image).Add("1.txt", right).Ended);
        Assert.Contains($"1 of 2 captions look as if", Assert.Single(source.Inventory.Warnings), StringComparison.Ordinal);
        Assert.Contains(wrong, source.Inventory.Warnings[0], StringComparison.Ordinal);
        Assert.True(CaptionCheck.IsMisread("it\u00E2\u20AC\u2122s"));
        Assert.True(CaptionCheck.IsMisread("\u00D0\u0178\u00D1\u20AC"));
        Assert.True(CaptionCheck.IsMisread("\u00E4\u00B8\u00AD\u00E6\u2013\u2021"));
        Assert.False(CaptionCheck.IsMisread("r\u00E9sum\u00E9 \u2014 \u00AB \u00C0 \u00BB"));
        Assert.False(CaptionCheck.IsMisread("\u00AB le caf\u00E9\u00A0\u00BB"));
        Assert.False(CaptionCheck.IsMisread("\u201Cvoil\u00E0\u2026\u201D"));
    }

    [Fact]
    public void SparseMembersAreRefusedByName()
    {
        AssertRefused("stores 0.jpg as a sparse file", new TarBytes().Add("0.jpg", _image, 'S').Ended);
        AssertRefused("stores 0.jpg as a sparse file", new TarBytes().AddRecords(("GNU.sparse.major", "1")).Add("0.jpg", _image).Ended);
    }

    [Fact]
    public void ACaptionThatIsNoUTF8NamesItsPair()
    {
        using var source = Open(new TarBytes().Add("0.jpg", _image).Add("0.txt", "caf\u00E9"u8.ToArray()[..^1]).Ended);
        var message = Assert.Throws<UserException>(() => source.Caption(0)).Message;
        Assert.Contains("0.jpg is not UTF-8", message, StringComparison.Ordinal);
    }

    [Fact]
    public void WhateverAHeaderHoldsTheShardIsReadOrRefusedByName()
    {
        var random = new Random(20);
        var good = Pairs(2)
            .AddRecords(("path", "long.jpg"), ("uid", "7")).Add("x", _image)
            .Add("././@LongLink", "long.txt\0", 'L').Add("x", "long")
            .Ended;
        int[] headers = [.. Enumerable.Range(0, good.Length / TarBytes.Block).Select(block => block * TarBytes.Block).Where(start => good[start + 257] == 'u')];
        var read = 0;
        for (var round = 0; round < 3000; round++)
        {
            var bad = (byte[])good.Clone();
            for (var change = random.Next(1, 5); change > 0; change--)
            {
                var start = headers[random.Next(headers.Length)];
                // Names, numbers, kinds, or the content of an extended header; half of the sums are made right again.
                var at = random.Next(4) switch { 0 => random.Next(124, 136), 1 => 156, 2 => random.Next(512, 540), _ => random.Next(512) };
                if (start + at < bad.Length)
                {
                    bad[start + at] = random.Next(3) switch { 0 => (byte)random.Next(256), 1 => (byte)('0' + random.Next(10)), _ => (byte)(0x80 * random.Next(2)) };
                }

                if (random.Next(2) == 0)
                {
                    TarBytes.Seal(bad.AsSpan(start, TarBytes.Block));
                }
            }

            read += IsReadOrRefused(random.Next(8) == 0 ? bad[..random.Next(bad.Length)] : bad) ? 1 : 0;
        }

        Assert.InRange(read, 100, 2900);
    }

    private bool IsReadOrRefused(byte[] content)
    {
        var path = _scratch.Write(content, "fuzz.tar");
        try
        {
            using var source = new WebDatasetSource([path]);
            Assert.True(source.Count > 0);
            return true;
        }
        catch (UserException exception)
        {
            Assert.Contains(path, exception.Message, StringComparison.Ordinal);
            return false;
        }
    }

    private static TarBytes Pairs(int count)
    {
        var tar = new TarBytes();
        for (var pair = 0; pair < count; pair++)
        {
            tar.Add($"{pair}.jpg", _image).Add($"{pair}.txt", $"caption {pair}");
        }

        return tar;
    }

    private static byte[] Gzip(byte[] content)
    {
        var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest))
        {
            gzip.Write(content);
        }

        return packed.ToArray();
    }

    private static IEnumerable<string> Captions(WebDatasetSource source) => Enumerable.Range(0, source.Count).Select(source.Caption);

    private WebDatasetSource Open(byte[] shard) => new([_scratch.Write(shard, "shard.tar")]);

    private void AssertRefused(string expected, byte[] shard)
    {
        var path = _scratch.Write(shard, "bad.tar");
        var message = Refusal([path]);
        Assert.Contains(expected, message, StringComparison.Ordinal);
        Assert.Contains(path, message, StringComparison.Ordinal);
    }

    private static string Refusal(string[] shards) => Assert.Throws<UserException>(() => new WebDatasetSource(shards)).Message;
}
