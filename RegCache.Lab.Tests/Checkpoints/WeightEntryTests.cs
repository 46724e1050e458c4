using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Tests.House;
using static TorchSharp.torch;

namespace RegCache.Lab.Tests.Checkpoints;

/// <summary>Views of tensors give the elements that they should.</summary>
public class WeightEntryTests
{
    private static readonly WeightEntry Matrix = WeightEntry.FromValues<float>("m", [0, 1, 2, 3, 4, 5], 2, 3);

    [Fact]
    public void RowsOfATranspose() => Assert.Equal([1f, 4f, 2f, 5f], Matrix.Transpose().Rows(1, 2).ToSingles());

    [Fact]
    public void RowsAcrossAConcatenation()
    {
        var all = WeightEntry.Concatenate("all", Matrix, Matrix.Rows(1, 1), Matrix);

        Assert.Equal([5, 3], all.Shape);
        Assert.Equal([3f, 4f, 5f, 3f, 4f, 5f, 0f, 1f, 2f], all.Rows(1, 3).ToSingles());
        Assert.Equal([0L, 3L], all.Rows(2, 0).Shape);
        Assert.Throws<ArgumentOutOfRangeException>(() => all.Rows(4, 2));
    }

    [Fact]
    public void StreamsAndArraysAgreeForEveryElementSizeAndStride()
    {
        var bytes = Enumerable.Range(0, 3 * 5 * 7 * 8).Select(value => (byte)value).ToArray();
        foreach (var type in new[] { ScalarType.Byte, ScalarType.Float16, ScalarType.Float32, ScalarType.Float64 })
        {
            var size = ScalarTypes.Size(type);
            var storage = new MemoryStorage(bytes);
            var entry = WeightEntry.View("v", type, [7, 3, 5], storage, 0, [1, 35, 7]);
            using var stream = new MemoryStream();
            entry.WriteTo(stream);

            var expected = new List<byte>();
            foreach (var (i, j, k) in from i in Enumerable.Range(0, 7) from j in Enumerable.Range(0, 3) from k in Enumerable.Range(0, 5) select (i, j, k))
            {
                expected.AddRange(bytes.AsSpan((i + (35 * j) + (7 * k)) * size, size));
            }

            Assert.Equal(expected, stream.ToArray());
            Assert.Equal(expected, EntryAssert.Bytes(entry));
        }
    }

    [Fact]
    public void LargeStridedTensorsAreWrittenInPieces()
    {
        const int Side = 1100;
        var values = Enumerable.Range(0, Side * Side).Select(value => (float)value).ToArray();
        var entry = WeightEntry.FromValues<float>("m", values, Side, Side).Transpose();
        using var stream = new MemoryStream();
        entry.WriteTo(stream);

        Assert.Equal(EntryAssert.Bytes(entry), stream.ToArray());
        Assert.Equal(values[Side], entry.ToSingles()[1]);
    }

    [Fact]
    public void TensorsGoToTorchAndBack()
    {
        using var scope = NewDisposeScope();
        var transposed = Matrix.Transpose().ToTensor();
        var half = Matrix.ToTensor(ScalarType.Float16);

        Assert.Equal([3, 2], transposed.shape);
        Assert.Equal([0f, 3f, 1f, 4f, 2f, 5f], transposed.data<float>().ToArray());
        Assert.Equal(ScalarType.Float16, half.dtype);
        EntryAssert.Equal(Matrix.Transpose(), WeightEntry.FromTensor("m", transposed));
        EntryAssert.Equal(Matrix, WeightEntry.FromTensor("m", transposed.t()));
        EntryAssert.Equal(WeightEntry.FromValues<long>("s", [5]), WeightEntry.FromTensor("s", tensor(5L)));
        Assert.Equal(0, WeightEntry.FromValues<float>("e", [], 0, 2).ToTensor().NumberOfElements);
    }

    [Fact]
    public void TensorsOfUnsupportedTypesAreRefused()
    {
        using var scope = NewDisposeScope();

        Assert.Throws<UserException>(() => WeightEntry.FromTensor("c", zeros(2, dtype: ScalarType.ComplexFloat32)));
    }

    [Fact]
    public void ShapesAndTypesMustFit()
    {
        Assert.Throws<ArgumentException>(() => WeightEntry.FromValues<float>("m", [1f], 2));
        Assert.Throws<InvalidOperationException>(() => Matrix.ToArray<double>());
        Assert.Throws<InvalidOperationException>(() => Matrix.Transpose().Reshape(6));
        Assert.Throws<InvalidOperationException>(() => Matrix.Rows(0, 1).Reshape(3).Transpose());
        Assert.Throws<ArgumentException>(() => WeightEntry.Concatenate("x", Matrix, Matrix.Transpose()));
    }

    [Fact]
    public void FilesBeyondTwoGigabytesAreReadWhereTheyLie()
    {
        using var folder = new TemporaryFolder();
        var path = folder["large.safetensors"];
        const long Rows = (1L << 31) / 16 + 5;
        var header = System.Text.Encoding.UTF8.GetBytes($$$"""{"w":{"dtype":"U8","shape":[{{{Rows}}},16],"data_offsets":[0,{{{Rows * 16}}}]}}""");
        using (var stream = File.Create(path))
        {
            // Only the ends are written; the file system keeps the rest as a hole.
            stream.Write(BitConverter.GetBytes((long)header.Length));
            stream.Write(header);
            stream.Position = 8 + header.Length + (Rows * 16) - 1;
            stream.WriteByte(77);
        }

        using var file = WeightFile.Open(path);
        Assert.Equal(77, file["w"].Rows(Rows - 1, 1).ToArray<byte>()[^1]);
    }
}
