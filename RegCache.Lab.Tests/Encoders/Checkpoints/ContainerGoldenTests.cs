using RegCache.Lab.Encoders.Checkpoints;
using static TorchSharp.torch;

namespace RegCache.Lab.Tests.Encoders.Checkpoints;

/// <summary>Every container of the goldens yields exactly the expected tensors and plain values.</summary>
[Trait("Category", "Golden")]
public class ContainerGoldenTests
{
    [Theory]
    [InlineData("state.pt", "expected_state.safetensors", WeightContainer.TorchZip)]
    [InlineData("state_legacy.pt", "expected_state.safetensors", WeightContainer.TorchLegacy)]
    [InlineData("odd_tensors.pt", "expected_odd_tensors.safetensors", WeightContainer.TorchZip)]
    [InlineData("torchscript.pt", "expected_torchscript.safetensors", WeightContainer.TorchScript)]
    public void TensorsAreThoseOfTheSafetensorsFile(string name, string expectedName, WeightContainer container)
    {
        using var file = WeightFile.Open(Goldens.Path("clip", "pt", name));
        using var expected = WeightFile.Open(Goldens.Path("clip", "pt", expectedName));

        Assert.Equal(container, file.Container);
        Assert.Equal(WeightContainer.Safetensors, expected.Container);
        EntryAssert.Equal(expected.Tensors, file.Tensors);
    }

    [Fact]
    public void TrainingCheckpointKeepsItsPlainValues()
    {
        using var file = WeightFile.Open(Goldens.Path("clip", "pt", "train_checkpoint.pt"));
        using var expected = WeightFile.Open(Goldens.Path("clip", "pt", "expected_train_checkpoint.safetensors"));
        var root = Assert.IsType<PythonDict>(file.Root);

        Assert.Equal(expected.Metadata["epoch"], Assert.IsType<long>(root["epoch"]).ToString());
        Assert.Equal(expected.Metadata["name"], root["name"]);
        var order = System.Text.Json.JsonSerializer.Deserialize<string[]>(expected.Metadata["optimizer_param_order"])!;
        foreach (var tensor in expected.Tensors)
        {
            var name = tensor.Name;
            var (kind, parameter) = (name[..name.IndexOf('.')], name[(name.IndexOf('.') + 1)..]);
            var found = kind == "state"
                ? file[$"state_dict.module.{parameter}"]
                : file[$"optimizer.state.{Array.IndexOf(order, parameter)}.{kind}"];
            EntryAssert.Equal(tensor, found);
        }

        Assert.True(root.TryGet("optimizer", out PythonDict optimizer));
        Assert.True(optimizer.TryGet("param_groups", out IReadOnlyList<object?> groups));
        Assert.Equal(order.Length, groups.Cast<PythonDict>().Sum(group => ((IReadOnlyList<object?>)group["params"]!).Count));
        Assert.All(groups.Cast<PythonDict>(), group => Assert.IsType<double>(group["lr"]));
    }

    [Fact]
    public void ViewsShowThePartOfTheirStorageThatIsTheirs()
    {
        using var file = WeightFile.Open(Goldens.Path("clip", "pt", "odd_tensors.pt"));
        var (rows, matrix) = (file["row_view"], file["transposed"].Transpose());
        var (part, whole) = (rows.ToSingles(), matrix.ToSingles());

        Assert.True(part.Length < whole.Length);
        Assert.Equal(0, whole.AsSpan().IndexOf(part) % matrix.Shape[1]);
    }

    [Fact]
    public void PlainPythonValuesSurvive()
    {
        using var file = WeightFile.Open(Goldens.Path("clip", "pt", "odd_tensors.pt"));
        var meta = Assert.IsType<PythonDict>(Assert.IsType<PythonDict>(file.Root)["meta"]);

        Assert.Equal("odd", meta["name"]);
        var list = Assert.IsType<List<object?>>(meta["list"]);
        Assert.Equal([1L, 2.5, null, true], list.Take(4));
        Assert.Equal([3L, "x"], Assert.IsType<object?[]>(list[4]));
    }

    [Fact]
    public void TypesOfOddTensorsAreKept()
    {
        using var file = WeightFile.Open(Goldens.Path("clip", "pt", "odd_tensors.pt"));

        Assert.Equal(ScalarType.BFloat16, file["bf16"].Type);
        Assert.Empty(file["scalar"].Shape);
        Assert.Equal(0, file["empty"].ElementCount);
        Assert.Empty(file["empty"].ToSingles());
    }
}
