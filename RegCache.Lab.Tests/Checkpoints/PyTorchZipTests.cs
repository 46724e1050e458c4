using System.IO.Compression;
using System.Numerics;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Tests.House;

namespace RegCache.Lab.Tests.Checkpoints;

/// <summary>PyTorch's zip form as this kit writes it, and archives that are something else.</summary>
public sealed class PyTorchZipTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>A checkpoint with a value of every kind.</summary>
    public static PythonDict Checkpoint { get; } = new()
    {
        ["epoch"] = 3L,
        ["name"] = "naïve run",
        ["state_dict"] = new PythonDict
        {
            ["module.weight"] = WeightEntry.FromValues<float>("", [1, 2, 3, 4, 5, 6], 3, 2).Transpose(),
            ["module.steps"] = WeightEntry.FromValues<long>("", [9]),
            ["module.half"] = WeightEntry.FromValues<Half>("", [(Half)1.5], 1),
            ["module.empty"] = WeightEntry.FromValues<float>("", [], 0, 3),
        },
        ["optimizer"] = new PythonDict
        {
            ["state"] = new PythonDict { [0L] = new PythonDict { ["step"] = 5L, ["exp_avg"] = WeightEntry.FromValues<double>("", [0.25], 1) } },
            ["param_groups"] = new List<object?> { new PythonDict { ["lr"] = 1e-3, ["betas"] = new object?[] { 0.9, 0.98 }, ["amsgrad"] = false, ["foreach"] = null } },
        },
        ["big"] = BigInteger.Pow(2, 70),
        ["far"] = 1L << 40,
        ["negative"] = -5L,
    };

    [Theory]
    [InlineData(uint.MaxValue)]
    [InlineData(0)]
    [InlineData(100)]
    public void WrittenCheckpointsComeBack(long zip64From)
    {
        var path = _folder["checkpoint.pt"];
        PyTorchZipWriter.Write(path, Checkpoint, zip64From);

        using var file = WeightFile.Open(path);
        Assert.Equal(WeightContainer.TorchZip, file.Container);
        AssertSame(Checkpoint, file.Root);
        Assert.Equal([1f, 3f, 5f, 2f, 4f, 6f], file["state_dict.module.weight"].ToSingles());
    }

    [Fact]
    public void OtherProgramsReadTheArchive()
    {
        var path = _folder["state.pt"];
        PyTorchZipWriter.WriteStateDict(path, [WeightEntry.FromValues<float>("w", [1f, 2f], 2)]);

        using var archive = ZipFile.OpenRead(path);
        using var content = new MemoryStream();
        using var stream = archive.GetEntry("archive/data/0")!.Open();
        stream.CopyTo(content);
        Assert.Equal(8, content.Length);
        Assert.Contains(archive.Entries, entry => entry.FullName == "archive/version");
    }

    [Fact]
    public void StoragesAreAlignedForMapping()
    {
        var path = _folder["aligned.pt"];
        PyTorchZipWriter.Write(path, Checkpoint);
        using var mapped = MappedFile.Open(path);

        Assert.All(ZipDirectory.Read(mapped).Values, member => Assert.Equal(0, member.Offset % 64));
    }

    [Fact]
    public void ValuesThatCheckpointsCannotHoldAreRefused()
    {
        Assert.Throws<UserException>(() => PyTorchZipWriter.Write(_folder["x.pt"], new PythonDict { ["when"] = DateTime.UnixEpoch }));
        Assert.Empty(Directory.GetFiles(_folder.Root));
    }

    [Fact]
    public void OnlyStoragesMustBeStored()
    {
        var path = _folder["packed.pt"];
        var (first, second) = (_folder["a.pt"], _folder["b.pt"]);
        PyTorchZipWriter.Write(first, new PythonDict { ["epoch"] = 7L });
        PyTorchZipWriter.WriteStateDict(second, [WeightEntry.FromValues<float>("w", new float[100], 100)]);
        Repack(first, path);
        using (var file = WeightFile.Open(path))
        {
            Assert.Equal(7L, Assert.IsType<PythonDict>(file.Root)["epoch"]);
        }

        Repack(second, path);
        Assert.Contains("data/0 is compressed", Assert.Throws<UserException>(() => WeightFile.Open(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void OtherArchivesAreRefused()
    {
        var path = _folder["other.zip"];
        using (var stream = File.Create(path))
        {
            var archive = new ZipWriter(stream);
            archive.Add("readme.txt", 2, output => output.Write("hi"u8));
            archive.Finish();
        }

        Assert.Contains("no data.pkl", Assert.Throws<UserException>(() => WeightFile.Open(path)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS")]
    [InlineData("<!DOCTYPE html><html>404</html>", "download")]
    [InlineData("just some text", "neither")]
    [InlineData("", "empty")]
    public void WhatIsNoWeightFileIsNamed(string content, string complaint)
    {
        var path = _folder["model.safetensors.bin"];
        File.WriteAllText(path, content);

        Assert.Contains(complaint, Assert.Throws<UserException>(() => WeightFile.Open(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void MissingFilesAndFoldersAreNamed()
    {
        Assert.Contains("no such file", Assert.Throws<UserException>(() => WeightFile.Open(_folder["absent.pt"])).Message, StringComparison.Ordinal);
        Assert.Throws<UserException>(() => WeightFile.Open(_folder.Root));
    }

    [Theory]
    [InlineData("", 0x00000000u)]
    [InlineData("123456789", 0xCBF43926u)]
    [InlineData("The quick brown fox jumps over the lazy dog", 0x414FA339u)]
    public void ChecksumIsThatOfZip(string text, uint checksum)
    {
        var bytes = System.Text.Encoding.ASCII.GetBytes(text);

        Assert.Equal(checksum, Crc32.Update(0, bytes));
        Assert.Equal(checksum, Crc32.Update(Crc32.Update(0, bytes.AsSpan(0, bytes.Length / 3)), bytes.AsSpan(bytes.Length / 3)));
    }

    // As a zip program would pack it.
    private static void Repack(string source, string target)
    {
        using var input = ZipFile.OpenRead(source);
        using var output = new ZipArchive(File.Create(target), ZipArchiveMode.Create);
        foreach (var entry in input.Entries)
        {
            using var from = entry.Open();
            using var to = output.CreateEntry(entry.FullName, CompressionLevel.Optimal).Open();
            from.CopyTo(to);
        }
    }

    private static void AssertSame(object? expected, object? actual)
    {
        switch (expected)
        {
            case PythonDict dict:
                var found = Assert.IsType<PythonDict>(actual);
                Assert.Equal(dict.Items.Select(item => item.Key), found.Items.Select(item => item.Key));
                Assert.All(dict.Items, item => AssertSame(item.Value, found[item.Key]));
                break;
            case IReadOnlyList<object?> list:
                Assert.IsType(expected.GetType(), actual);
                var items = (IReadOnlyList<object?>)actual!;
                Assert.Equal(list.Count, items.Count);
                Assert.All(list.Zip(items), pair => AssertSame(pair.First, pair.Second));
                break;
            case WeightEntry entry:
                EntryAssert.Equal(entry, Assert.IsType<WeightEntry>(actual));
                break;
            default:
                Assert.Equal(expected, actual);
                break;
        }
    }
}
