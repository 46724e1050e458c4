using RegCache.Lab.Encoders.Checkpoints;
using static TorchSharp.torch;

namespace RegCache.Lab.Tests.Encoders.Checkpoints;

/// <summary>Views of tensors give the elements that they should.</summary>
public class WeightEntryTests
{
    private static readonly WeightEntry Matrix = WeightEntry.FromValues<float>("m", [0, 1, 2, 3, 4, 5], 2, 3);

    [Fact]
    public void ConcatenationsContinueAlongTheFirstAxis()
    {
        var all = WeightEntry.Concatenate("all", Matrix, WeightEntry.FromValues<float>("row", [6, 7, 8], 1, 3), Matrix.Transpose().Transpose());

        Assert.Equal([5, 3], all.Shape);
        Assert.Equal([0f, 1f, 2f, 3f, 4f, 5f, 6f, 7f, 8f, 0f, 1f, 2f, 3f, 4f, 5f], all.ToSingles());
    }

    [Fact]
    public void ViewsOfAFileAreReadForEveryElementSizeAndStride()
    {
        using var folder = new TemporaryFolder();
        var bytes = Enumerable.Range(0, 11 + (3 * 5 * 7 * 8)).Select(value => (byte)value).ToArray();
        File.WriteAllBytes(folder["bytes"], bytes);
        using var file = MappedFile.Open(folder["bytes"]);
        foreach (var type in new[] { ScalarType.Byte, ScalarType.Float16, ScalarType.Float32, ScalarType.Float64 })
        {
            var size = ScalarTypes.Size(type);
            var entry = WeightEntry.View("v", type, [5, 3, 5], new FileRange(file, 11, bytes.Length - 11), 2, [1, 35, 7]);
            var expected = new List<byte>();
            foreach (var (i, j, k) in from i in Enumerable.Range(0, 5) from j in Enumerable.Range(0, 3) from k in Enumerable.Range(0, 5) select (i, j, k))
            {
                expected.AddRange(bytes.AsSpan(11 + ((2 + i + (35 * j) + (7 * k)) * size), size));
            }

            Assert.Equal(expected, EntryAssert.Bytes(entry));
        }
    }

    [Fact]
    public void LargeTensorsAreReadAndWrittenInPieces()
    {
        using var folder = new TemporaryFolder();
        const int Rows = 5;
        const int Columns = 1 << 22;
        var values = Enumerable.Range(0, Rows * Columns).Select(value => (float)value).ToArray();
        SafetensorsWriter.Write(folder["large.safetensors"], [WeightEntry.FromValues<float>("m", values, Rows, Columns)]);
        using var file = WeightFile.Open(folder["large.safetensors"]);

        Assert.True(file["m"].ToSingles().AsSpan().SequenceEqual(values));
        Assert.Equal(values[Columns], file["m"].Transpose().ToSingles()[1]);
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
        Assert.Throws<InvalidOperationException>(() => Matrix.Reshape(5));
        Assert.Throws<InvalidOperationException>(() => Matrix.Reshape(6).Transpose());
        Assert.Throws<ArgumentException>(() => WeightEntry.Concatenate("x", Matrix, Matrix.Transpose()));
    }

    [Fact]
    public void TensorsBeyondTwoGigabytesOfAFileAreReadWhereTheyLie()
    {
        using var folder = new TemporaryFolder();
        var path = folder["large.safetensors"];
        const long Before = (1L << 31) + 5;
        var header = System.Text.Encoding.UTF8.GetBytes(
            $$$"""{"before":{"dtype":"U8","shape":[{{{Before}}}],"data_offsets":[0,{{{Before}}}]},"w":{"dtype":"U8","shape":[2],"data_offsets":[{{{Before}}},{{{Before + 2}}}]}}""");
        using (var stream = File.Create(path))
        {
            // Only the ends are written; the file system keeps the rest as a hole.
            stream.Write(BitConverter.GetBytes((long)header.Length));
            stream.Write(header);
            stream.Position = 8 + header.Length + Before + 1;
            stream.WriteByte(77);
        }

        using var file = WeightFile.Open(path);
        Assert.Equal([0, 77], file["w"].ToArray<byte>());
    }
}
