using System.Globalization;
using System.Text;
using static TorchSharp.torch;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>
/// The only functions that a weight file's pickle may call. Each builds data from data. A call of any other is not made; a
/// <see cref="PythonObject"/> stands for its result.
/// </summary>
internal static class PickleCalls
{
    private const int MaxDimensions = 64;

    // A tensor may have more elements than its storage when it is an expanded view, but a file must not make this
    // program ask for any amount of memory it likes.
    private const long MaxExpandedElements = 1 << 24;

    public static object? Call(PythonGlobal function, object?[] arguments, string path) => (function.ToString(), arguments) switch
    {
        ("torch._utils _rebuild_tensor_v2", [PickledStorage storage, var offset, var size, var stride, _, _, ..]) =>
            Tensor(storage, storage.Type, offset, size, stride, path),
        ("torch._utils _rebuild_tensor", [PickledStorage storage, var offset, var size, var stride]) =>
            Tensor(storage, storage.Type, offset, size, stride, path),
        ("torch._utils _rebuild_tensor_v3", [PickledStorage storage, var offset, var size, var stride, _, _, PythonGlobal type, ..]) =>
            ElementType(type) is { } elements ? Tensor(storage, elements, offset, size, stride, path) : new PythonObject(type.ToString()),

        // What is made of a storage or tensor that cannot be read cannot be read either, for the same reason.
        ("torch._utils _rebuild_tensor_v2" or "torch._utils _rebuild_tensor" or "torch._utils _rebuild_tensor_v3", [PythonObject storage, ..]) => storage,
        ("torch._utils _rebuild_parameter" or "torch._utils _rebuild_parameter_with_state", [WeightEntry or PythonObject, ..]) => arguments[0],
        ("torch._tensor _rebuild_from_type_v2", [PythonGlobal { Module: "torch._utils" } inner, PythonGlobal, object?[] innerArguments, _]) =>
            Call(inner, innerArguments, path),
        ("collections OrderedDict", []) => new PythonDict(),
        ("collections OrderedDict", [IReadOnlyList<object?> pairs]) => Dict(pairs, path),
        ("collections defaultdict", []) => new PythonDict(),
        ("collections defaultdict", [PythonGlobal]) => new PythonDict(),
        ("torch Size", [IReadOnlyList<object?> sizes]) => sizes.ToArray(),
        ("torch device", [string kind]) => kind,
        ("torch device", [string kind, long index]) => string.Create(CultureInfo.InvariantCulture, $"{kind}:{index}"),
        ("builtins set" or "__builtin__ set", [List<object?> items]) => items,
        ("builtins frozenset" or "__builtin__ frozenset", [List<object?> items]) => items,
        ("_codecs encode", [string text, "latin1"]) => Encoding.Latin1.GetBytes(text),
        ("torch.jit._pickle build_intlist" or "torch.jit._pickle build_doublelist", [List<object?> items]) => items,
        ("torch.jit._pickle build_boollist" or "torch.jit._pickle build_tensorlist", [List<object?> items]) => items,
        ("torch.jit._pickle restore_type_tag", [var value, _]) => value,
        _ => new PythonObject(function.ToString()) { Arguments = arguments },
    };

    private static WeightEntry Tensor(PickledStorage storage, ScalarType? elementType, object? offset, object? size, object? stride, string path)
    {
        if (elementType is not { } type || offset is not long start || start < 0)
        {
            throw Damaged(path, "a tensor without element type or offset");
        }

        var shape = Numbers(size, path);
        var strides = Numbers(stride, path);
        if (shape.Length != strides.Length)
        {
            throw Damaged(path, $"a tensor of {shape.Length} sizes and {strides.Length} strides");
        }

        // The last element's position and the number of elements, in 128 bits; each is checked before it can overflow.
        var available = storage.Range.ByteLength / ScalarTypes.Size(type);
        var (last, count) = ((Int128)start, (Int128)1);
        for (var axis = 0; axis < shape.Length; axis++)
        {
            last = last > long.MaxValue || shape[axis] == 0 ? last : last + ((Int128)(shape[axis] - 1) * strides[axis]);
            count = count > long.MaxValue ? count : count * shape[axis];
        }

        if (count > 0 && last >= available)
        {
            throw Damaged(path, $"a tensor of shape {WeightEntry.Describe(shape)} that reaches beyond its {available} stored elements");
        }

        if (count > Math.Max(available, MaxExpandedElements))
        {
            throw Damaged(path, $"a tensor of shape {WeightEntry.Describe(shape)} that is expanded from {available} elements");
        }

        return WeightEntry.View(string.Empty, type, shape, storage.Range, count == 0 ? 0 : start, strides);
    }

    private static long[] Numbers(object? value, string path)
    {
        if (value is not IReadOnlyList<object?> items || items.Count > MaxDimensions || items.Any(item => item is not >= 0L))
        {
            throw Damaged(path, "a tensor whose sizes or strides are not whole numbers from 0 on");
        }

        return [.. items.Cast<long>()];
    }

    private static ScalarType? ElementType(PythonGlobal type) => type.Module == "torch" ? ScalarTypes.FromPythonName(type.Name) : null;

    private static PythonDict Dict(IReadOnlyList<object?> pairs, string path)
    {
        var dict = new PythonDict();
        foreach (var pair in pairs)
        {
            if (pair is not IReadOnlyList<object?> { Count: 2 } keyAndValue)
            {
                throw Damaged(path, "an OrderedDict that is not made of pairs");
            }

            dict[keyAndValue[0] ?? DBNull.Value] = keyAndValue[1];
        }

        return dict;
    }

    private static UserException Damaged(string path, string what) => new($"{path} is damaged: its pickled data describes {what}.");
}
