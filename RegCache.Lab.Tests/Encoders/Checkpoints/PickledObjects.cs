using RegCache.Lab.Encoders.Checkpoints;
using Op = RegCache.Lab.Encoders.Checkpoints.PickleOpcode;

namespace RegCache.Lab.Tests.Encoders.Checkpoints;

/// <summary>Objects as Python's pickle writes them into training checkpoints, each as instructions that leave one value on the stack.</summary>
internal static class PickledObjects
{
    /// <summary>The only one that holds tensors: exp_avg of items 0 and 1, and item 3.</summary>
    public const string KeyedByTensorsAndTuples = "dict keyed by tensors and tuples";

    public static IReadOnlyDictionary<string, Func<PickleBuilder, PickleBuilder>> All { get; } = new Dictionary<string, Func<PickleBuilder, PickleBuilder>>
    {
        ["numpy number"] = pickle => Bytes(Dtype(pickle.Global("numpy.core.multiarray", "scalar"))).Op(Op.Tuple2, Op.Reduce),
        ["numpy dtype"] = Dtype,
        ["numpy array"] = pickle => Bytes(Dtype(pickle
            .Global("numpy.core.multiarray", "_reconstruct").Global("numpy", "ndarray").Tuple(0).Text("b").Op(Op.Tuple3, Op.Reduce)
            .Op(Op.Mark).Int(1).Tuple(2)).Op(Op.NewFalse)).Op(Op.Tuple, Op.Build),
        ["namespace"] = pickle => pickle.Global("argparse", "Namespace").Op(Op.EmptyTuple, Op.NewObj, Op.EmptyDict).Text("lr").Int(1).Op(Op.SetItem, Op.Build),
        ["subclass of OrderedDict"] = pickle => pickle
            .Global("mmengine.config", "ConfigDict").Op(Op.EmptyTuple, Op.Reduce).Text("name").Text("clip").Op(Op.SetItem),
        ["subclass of list"] = pickle => pickle.Global("omegaconf", "ListConfig").Op(Op.EmptyTuple, Op.NewObj).Text("a").Op(Op.Append),
        ["old-style object"] = pickle => pickle
            .Global("copy_reg", "_reconstructor").Global("trainer", "State").Global("__builtin__", "object").Op(Op.None, Op.Tuple3, Op.Reduce)
            .Op(Op.EmptyDict).Text("step").Int(3).Op(Op.SetItem, Op.Build),
        ["object with keyword arguments"] = pickle => pickle
            .Global("datetime", "timezone").Op(Op.EmptyTuple, Op.EmptyDict, Op.NewObjEx),
        ["object with slots"] = pickle => pickle.Global("trainer", "Slots").Op(Op.EmptyTuple, Op.NewObj)
            .Op(Op.None, Op.EmptyDict).Text("x").Int(1).Op(Op.SetItem, Op.Tuple2, Op.Build),
        ["date"] = pickle => pickle.Global("datetime", "datetime").Op(Op.ShortBinBytes).Raw(2, 7, 232).Op(Op.Tuple1, Op.Reduce),
        ["path"] = pickle => pickle.Global("pathlib", "PosixPath").Text("/").Text("logs").Op(Op.Tuple2, Op.Reduce),
        ["enum"] = pickle => pickle.Global("trainer", "Mode").Text("train").Op(Op.Tuple1, Op.Reduce),
        ["method"] = pickle => pickle.Global("builtins", "getattr").Global("trainer", "Mode").Text("run").Op(Op.Tuple2, Op.Reduce).Op(Op.EmptyTuple, Op.Reduce),
        ["sparse tensor"] = pickle => pickle.Global("torch._utils", "_rebuild_sparse_tensor").Int(0).Op(Op.Tuple1, Op.Reduce),
        ["complex tensor"] = pickle => pickle.Tensor(0, [1], [1], "ComplexFloatStorage"),
        [KeyedByTensorsAndTuples] = pickle => pickle.Op(Op.EmptyDict)
            .Tensor(0, [1], [1]).Op(Op.EmptyDict).Text("exp_avg").Tensor(1, [1], [1]).Op(Op.SetItem, Op.SetItem)
            .Tensor(2, [1], [1]).Op(Op.EmptyDict).Text("exp_avg").Tensor(3, [1], [1]).Op(Op.SetItem, Op.SetItem)
            .Tuple(0, 1).Op(Op.EmptyDict, Op.SetItem)
            .Tuple(0, 2).Tensor(0, [2], [1]).Op(Op.SetItem),
        ["object that contains itself"] = pickle => pickle.Global("trainer", "Node").Op(Op.EmptyTuple, Op.NewObj, Op.BinPut).Raw(77)
            .Op(Op.EmptyDict).Text("self").Op(Op.BinGet).Raw(77).Op(Op.SetItem, Op.Build),
    };

    /// <summary>A checkpoint with all of them, and a tensor "w" of four floats at the end.</summary>
    public static PickleBuilder Checkpoint()
    {
        var pickle = new PickleBuilder().Op(Op.EmptyDict);
        foreach (var (name, write) in All)
        {
            write(pickle.Text(name)).Op(Op.SetItem);
        }

        return pickle.Text("w").Tensor(0, [4], [1]).Op(Op.SetItem);
    }

    private static PickleBuilder Dtype(PickleBuilder pickle) => pickle
        .Global("numpy", "dtype").Text("f8").Op(Op.NewFalse, Op.NewTrue, Op.Tuple3, Op.Reduce)
        .Op(Op.Mark).Int(3).Text("<").Op(Op.None, Op.None, Op.None).Int(-1).Int(-1).Int(0).Op(Op.Tuple, Op.Build);

    private static PickleBuilder Bytes(PickleBuilder pickle) =>
        pickle.Global("_codecs", "encode").Text("abcdefgh").Text("latin1").Op(Op.Tuple2, Op.Reduce);
}
