using static TorchSharp.torch;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>Names and sizes of the element types that weight files may hold.</summary>
internal static class ScalarTypes
{
    private static readonly (ScalarType Type, int Size, string Safetensors, string Storage, string Python)[] All =
    [
        (ScalarType.Float64, 8, "F64", "DoubleStorage", "float64"),
        (ScalarType.Float32, 4, "F32", "FloatStorage", "float32"),
        (ScalarType.Float16, 2, "F16", "HalfStorage", "float16"),
        (ScalarType.BFloat16, 2, "BF16", "BFloat16Storage", "bfloat16"),
        (ScalarType.Int64, 8, "I64", "LongStorage", "int64"),
        (ScalarType.Int32, 4, "I32", "IntStorage", "int32"),
        (ScalarType.Int16, 2, "I16", "ShortStorage", "int16"),
        (ScalarType.Int8, 1, "I8", "CharStorage", "int8"),
        (ScalarType.Byte, 1, "U8", "ByteStorage", "uint8"),
        (ScalarType.Bool, 1, "BOOL", "BoolStorage", "bool"),
    ];

    /// <summary>The safetensors names of the supported types, for messages.</summary>
    public static string SafetensorsNames { get; } = string.Join(", ", All.Select(row => row.Safetensors));

    public static int Size(ScalarType type) => Find(type).Size;

    public static string SafetensorsName(ScalarType type) => Find(type).Safetensors;

    public static string StorageName(ScalarType type) => Find(type).Storage;

    public static ScalarType? FromSafetensors(string name) => Find(row => row.Safetensors == name);

    public static ScalarType? FromStorageName(string name) => Find(row => row.Storage == name);

    public static ScalarType? FromPythonName(string name) => Find(row => row.Python == name);

    public static bool IsSupported(ScalarType type) => Array.Exists(All, row => row.Type == type);

    private static (ScalarType Type, int Size, string Safetensors, string Storage, string Python) Find(ScalarType type) =>
        IsSupported(type)
            ? Array.Find(All, row => row.Type == type)
            : throw new UserException($"Weight files cannot hold tensors of type {type}; convert the tensor to Float32 first.");

    private static ScalarType? Find(Predicate<(ScalarType Type, int Size, string Safetensors, string Storage, string Python)> match)
    {
        var index = Array.FindIndex(All, match);
        return index < 0 ? null : All[index].Type;
    }
}
