using RegCache.Lab.Encoders.Checkpoints;
using Op = RegCache.Lab.Encoders.Checkpoints.PickleOpcode;

namespace RegCache.Lab.Tests.Encoders.Checkpoints;

/// <summary>A pickle may describe data and nothing else, and damage is told in one sentence.</summary>
public sealed class UnpicklerTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("posix", "system")]
    [InlineData("builtins", "eval")]
    [InlineData("os", "remove")]
    [InlineData("torch", "load")]
    [InlineData("torch.nn.modules.linear", "Linear")]
    public void CallsAreRefusedAndNothingRuns(string module, string name)
    {
        var witness = _folder["witness"];
        var pickle = new PickleBuilder().Global(module, name).Text($"touch '{witness}'").Op(Op.Tuple1, Op.Reduce);

        var error = Refuses(pickle);

        Assert.Contains($"`{module} {name}`", error.Message, StringComparison.Ordinal);
        Assert.Contains("evil.pt", error.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(witness));
    }

    [Fact]
    public void ClassesAreNotInstantiated() =>
        Assert.Contains("`subprocess Popen`", Refuses(new PickleBuilder().Global("subprocess", "Popen").Op(Op.EmptyTuple, Op.NewObj)).Message, StringComparison.Ordinal);

    [Fact]
    public void StateIsNotGivenToClasses() =>
        Assert.Contains("`posix system`", Refuses(new PickleBuilder().Global("posix", "system").Op(Op.EmptyDict, Op.Build)).Message, StringComparison.Ordinal);

    [Fact]
    public void StackGlobalsAreRefusedToo() =>
        Assert.Contains(
            "`posix system`",
            Refuses(new PickleBuilder().Text("posix").Text("system").Op(Op.StackGlobal).Text("true").Op(Op.Tuple1, Op.Reduce)).Message,
            StringComparison.Ordinal);

    [Fact]
    public void AllowedFunctionsWithForeignArgumentsAreRefused() =>
        Assert.Contains(
            "`torch._utils _rebuild_tensor_v2`",
            Refuses(new PickleBuilder().Global("torch._utils", "_rebuild_tensor_v2").Text("x").Op(Op.Tuple1, Op.Reduce)).Message,
            StringComparison.Ordinal);

    [Fact]
    public void NamesThatAreOnlyMentionedDoNoHarm()
    {
        var pickle = new PickleBuilder().Op(Op.EmptyDict).Text("type").Global("numpy", "dtype").Op(Op.SetItem).Text("w").Tensor(1, [2], [1]).Op(Op.SetItem);
        using var file = WeightFile.Open(pickle.WriteZip(_folder["mentions.pt"]));

        Assert.Equal("w", Assert.Single(file.Tensors).Name);
    }

    public static TheoryData<string> Objects { get; } = new(PickledObjects.All.Keys);

    [Theory]
    [MemberData(nameof(Objects))]
    public void ObjectsBesideTheWeightsDoNoHarm(string kind)
    {
        var pickle = PickledObjects.All[kind](new PickleBuilder().Op(Op.EmptyDict).Text("extra")).Op(Op.SetItem).Text("w").Tensor(1, [2], [1]).Op(Op.SetItem);
        using var file = WeightFile.Open(pickle.WriteZip(_folder["objects.pt"]));

        string[] inside = kind == PickledObjects.KeyedByTensorsAndTuples ? ["extra.0.exp_avg", "extra.1.exp_avg", "extra.3"] : [];
        Assert.Equal([.. inside, "w"], file.Tensors.Select(tensor => tensor.Name));
    }

    [Theory]
    [MemberData(nameof(Objects))]
    public void AnObjectInTheWeightsPlaceIsRefusedByName(string kind)
    {
        var pickle = PickledObjects.All[kind](new PickleBuilder().Op(Op.EmptyDict).Text("visual.proj")).Op(Op.SetItem).Text("w").Tensor(1, [2], [1]).Op(Op.SetItem);
        using var file = WeightFile.Open(pickle.WriteZip(_folder["objects.pt"]));
        var state = StateDictLoader.Load(file);

        Assert.Contains("visual.proj", Assert.Throws<UserException>(() => state["visual.proj"]).Message, StringComparison.Ordinal);
        Assert.Equal(2, state["w"].ElementCount);
    }

    [Fact]
    public void AllObjectsTogetherDoNoHarm()
    {
        using var file = WeightFile.Open(PickledObjects.Checkpoint().WriteZip(_folder["objects.pt"]));

        Assert.Equal(4, file["w"].ToSingles().Length);
        Assert.Equal("torch ComplexFloatStorage", file.Unreadable["complex tensor"]);
    }

    [Fact]
    public void TensorsInsideObjectsAreFoundAndModulesHaveTheNamesOfTheirStateDict()
    {
        var pickle = new PickleBuilder()
            .Global("__main__", "Net").Op(Op.EmptyTuple, Op.NewObj, Op.EmptyDict).Text("_modules")
            .Global("collections", "OrderedDict").Op(Op.EmptyTuple, Op.Reduce).Text("fc")
            .Global("torch.nn.modules.linear", "Linear").Op(Op.EmptyTuple, Op.NewObj, Op.EmptyDict).Text("_parameters").Op(Op.EmptyDict)
            .Text("weight").Tensor(0, [2], [1]).Op(Op.SetItem, Op.SetItem, Op.Build, Op.SetItem, Op.SetItem, Op.Build);
        using var file = WeightFile.Open(pickle.WriteZip(_folder["module.pt"]));

        Assert.Equal("fc.weight", Assert.Single(file.Tensors).Name);
    }

    [Fact]
    public void LongHistoriesAreNoObstacle()
    {
        var pickle = new PickleBuilder().Op(Op.EmptyDict).Text("losses").Op(Op.EmptyList, Op.Mark);
        for (var step = 0; step < 1_200_000; step++)
        {
            pickle.Op(Op.BinInt1).Raw(1);
        }

        using var file = WeightFile.Open(pickle.Op(Op.Appends, Op.SetItem).Text("w").Tensor(0, [4], [1]).Op(Op.SetItem).WriteZip(_folder["long.pt"]));
        Assert.Single(file.Tensors);
    }

    [Theory]
    [InlineData(0, new long[] { 5 }, new long[] { 1 })]
    [InlineData(4, new long[] { 1 }, new long[] { 1 })]
    [InlineData(0, new long[] { 2, 2 }, new long[] { 3, 1 })]
    [InlineData(-1, new long[] { 1 }, new long[] { 1 })]
    [InlineData(0, new long[] { -1 }, new long[] { 1 })]
    [InlineData(0, new long[] { 2 }, new long[] { -1 })]
    [InlineData(0, new long[] { 2, 2 }, new long[] { 1 })]
    [InlineData(0, new[] { long.MaxValue, long.MaxValue, 8 }, new[] { long.MaxValue, long.MaxValue, 8 })]
    [InlineData(0, new[] { 1L << 40 }, new long[] { 0 })]
    public void ImpossibleTensorsAreRefused(long offset, long[] sizes, long[] strides) =>
        Refuses(new PickleBuilder().Tensor(offset, sizes, strides));

    [Theory]
    [InlineData("ComplexFloatStorage")]
    [InlineData("QInt8Storage")]
    public void UnsupportedElementTypesAreNamed(string storage) =>
        Assert.Contains(storage, Refuses(new PickleBuilder().Tensor(0, [1], [1], storage)).Message, StringComparison.Ordinal);

    [Fact]
    public void StoragesThatAreShorterThanTheirTensorsAreRefused() =>
        Assert.Contains("storage 0", Refuses(new PickleBuilder().Tensor(0, [5], [1], elements: 5)).Message, StringComparison.Ordinal);

    [Fact]
    public void ExpandedTensorsAreRead()
    {
        using var file = WeightFile.Open(new PickleBuilder().Op(Op.EmptyDict).Text("w").Tensor(1, [3, 2], [0, 1]).Op(Op.SetItem).WriteZip(_folder["expanded.pt"]));

        Assert.Equal(6, file["w"].ToSingles().Length);
    }

    [Fact]
    public void DeepNestingEndsInAnError()
    {
        var pickle = new PickleBuilder().Tensor(0, [1], [1]);
        for (var level = 0; level < 100_000; level++)
        {
            pickle.Op(Op.Tuple1);
        }

        Assert.Contains("too deeply", Refuses(pickle).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ListsThatContainThemselvesEndInAnError() =>
        Assert.Contains(
            "too deeply",
            Refuses(new PickleBuilder().Op(Op.EmptyList, Op.BinPut).Raw(0).Op(Op.BinGet).Raw(0).Op(Op.Append)).Message,
            StringComparison.Ordinal);

    [Fact]
    public void ExponentialSharingEndsInAnError()
    {
        var pickle = new PickleBuilder().Op(Op.EmptyList);
        for (var level = 0; level < 60; level++)
        {
            pickle.Op(Op.Dup, Op.Tuple2);
        }

        Assert.Contains("too deeply", Refuses(pickle).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void CopyingOneValueOverAndOverEndsInAnError()
    {
        var pickle = new PickleBuilder().Global("_codecs", "encode").Op(Op.BinPut).Raw(0).Text(new string('x', 1 << 16)).Op(Op.BinPut).Raw(1);
        pickle.Text("latin1").Op(Op.BinPut).Raw(2);
        for (var copy = 0; copy < 10_000; copy++)
        {
            pickle.Op(Op.BinGet).Raw(0).Op(Op.BinGet).Raw(1).Op(Op.BinGet).Raw(2).Op(Op.Tuple2, Op.Reduce);
        }

        Assert.Contains("over and over", Refuses(pickle).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void LengthsBeyondTheFileAreRefusedBeforeAnythingIsAllocated() =>
        Assert.Contains("more bytes are needed", Refuses(new PickleBuilder().Op(Op.BinUnicode).Raw(255, 255, 255, 255)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData('0')] // POP without an item
    [InlineData('t')] // TUPLE without a mark
    [InlineData('u')] // SETITEMS without a mark
    [InlineData('R')] // REDUCE without a function
    [InlineData('b')] // BUILD without an object
    [InlineData('Q')] // BINPERSID without an id
    [InlineData('i')] // INST, which makes objects
    [InlineData('\x82')] // EXT1, which refers to a registry
    [InlineData('\xff')] // no instruction at all
    public void SenselessInstructionsAreRefused(char opcode) => Refuses(new PickleBuilder().Raw((byte)opcode));

    [Fact]
    public void UnknownMemosAreRefused() =>
        Assert.Contains("memo 7", Refuses(new PickleBuilder().Op(Op.BinGet).Raw(7)).Message, StringComparison.Ordinal);

    [Fact]
    public void BigEndianFilesAreRefused()
    {
        var path = PickleBuilder.WriteZip(_folder["big.pt"], new PickleBuilder().Op(Op.EmptyDict).Members("big"));

        Assert.Contains("big-endian", Assert.Throws<UserException>(() => WeightFile.Open(path)).Message, StringComparison.Ordinal);
    }

    private UserException Refuses(PickleBuilder pickle)
    {
        var path = pickle.WriteZip(_folder["evil.pt"]);
        return Assert.Throws<UserException>(() =>
        {
            using var file = WeightFile.Open(path);
        });
    }
}
