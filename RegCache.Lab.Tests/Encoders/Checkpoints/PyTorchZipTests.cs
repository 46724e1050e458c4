using System.IO.Compression;
using System.Numerics;
using System.Runtime.InteropServices;
using RegCache.Lab.Encoders.Checkpoints;
using Op = RegCache.Lab.Encoders.Checkpoints.PickleOpcode;

namespace RegCache.Lab.Tests.Encoders.Checkpoints;

/// <summary>PyTorch's zip form, and archives that are something else.</summary>
public sealed class PyTorchZipTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void ValuesOfEveryKindAreRead(bool zip64)
    {
        var pickle = new PickleBuilder().Op(Op.EmptyDict, Op.Mark)
            .Text("name").Text("naïve run")
            .Text("far").Int(1L << 40)
            .Text("negative").Int(-5)
            .Text("big").Op(Op.Long1).Raw(9, 0, 0, 0, 0, 0, 0, 0, 0, 64)
            .Text("list").Op(Op.EmptyList, Op.Mark, Op.NewTrue, Op.None).Tuple(3, 4).Op(Op.Appends)
            .Text("model").Op(Op.EmptyDict)
            .Text("transposed").Tensor(0, [2, 3], [1, 2], elements: 6).Op(Op.SetItem)
            .Text("scalar").Tensor(0, [], [], "LongStorage", 1, key: "1").Op(Op.SetItem)
            .Text("empty").Tensor(0, [0, 3], [3, 1], elements: 6).Op(Op.SetItem)
            .Op(Op.SetItems);
        var members = pickle.Members("little", [.. MemoryMarshal.AsBytes<float>([1, 2, 3, 4, 5, 6])], BitConverter.GetBytes(9L));
        var path = _folder["checkpoint.pt"];
        if (zip64)
        {
            Zip64Archive.Write(path, members);
        }
        else
        {
            PickleBuilder.WriteZip(path, members);
        }

        using var file = WeightFile.Open(path);
        Assert.Equal(WeightContainer.TorchZip, file.Container);
        var root = Assert.IsType<PythonDict>(file.Root);
        Assert.Equal(["name", "far", "negative", "big", "list", "model"], root.Keys);
        Assert.Equal(["naïve run", 1L << 40, -5L, BigInteger.Pow(2, 70)], root.Values.Take(4));
        var list = Assert.IsType<List<object?>>(root["list"]);
        Assert.Equal([true, null], list.Take(2));
        Assert.Equal([3L, 4L], Assert.IsType<object?[]>(list[2]));
        Assert.Equal([1f, 3f, 5f, 2f, 4f, 6f], file["model.transposed"].ToSingles());
        Assert.Equal([9L], file["model.scalar"].ToArray<long>());
        Assert.Empty(file["model.scalar"].Shape);
        Assert.Equal([0L, 3L], file["model.empty"].Shape);
        Assert.Empty(file["model.empty"].ToSingles());
    }

    [Fact]
    public void OnlyStoragesMustBeStored()
    {
        var path = _folder["packed.pt"];
        var members = new PickleBuilder().Op(Op.EmptyDict).Text("epoch").Int(7).Op(Op.SetItem).Members("little");
        PickleBuilder.WriteZip(path, members, CompressionLevel.Optimal);
        using (var file = WeightFile.Open(path))
        {
            Assert.Equal(7L, Assert.IsType<PythonDict>(file.Root)["epoch"]);
        }

        members = new PickleBuilder().Op(Op.EmptyDict).Text("w").Tensor(0, [4], [1]).Op(Op.SetItem).Members("little");
        PickleBuilder.WriteZip(path, members, CompressionLevel.Optimal);
        Assert.Contains("data/0 is compressed", Assert.Throws<UserException>(() => WeightFile.Open(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void OtherArchivesAreRefused()
    {
        var path = PickleBuilder.WriteZip(_folder["other.zip"], [("readme.txt", "hi"u8.ToArray())]);

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
}
