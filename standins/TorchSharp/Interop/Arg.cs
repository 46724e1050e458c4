using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace TorchSharp.Interop;

/// <summary>
/// One argument of an operator. Everything that operators take converts to it, so that calls read like the schema;
/// nothing is allocated for tensors, numbers and spans. A default <see cref="Arg"/> stands for the schema's default.
/// </summary>
internal readonly unsafe ref struct Arg
{
    private readonly Tag tag;
    private readonly int count;
    private readonly long bits;
    private readonly object? owner;
    private readonly ref byte data;

    private Arg(Tag tag, long bits, object? owner = null)
    {
        this.tag = tag;
        this.bits = bits;
        this.owner = owner;
    }

    private Arg(Tag tag, ref byte data, int count, object? owner = null)
    {
        this.tag = tag;
        this.data = ref data;
        this.count = count;
        this.owner = owner;
    }

    /// <summary>No value, where the schema's default is another one.</summary>
    public static Arg None => new(Tag.None, 0);

    /// <summary>Where lists, strings and arrays of handles lie; pin it for the time of the call.</summary>
    public ref byte Data => ref data;

    /// <summary>What must outlive the call.</summary>
    public object? Owner => owner;

    public bool IsAbsent => tag == Tag.Absent;

    public static implicit operator Arg(torch.Tensor? value) => value is null ? None : new(Tag.Tensor, value.Handle, value);

    public static implicit operator Arg(long value) => new(Tag.Int, value);

    public static implicit operator Arg(long? value) => value is { } number ? new(Tag.Int, number) : None;

    public static implicit operator Arg(double value) => new(Tag.Double, BitConverter.DoubleToInt64Bits(value));

    public static implicit operator Arg(double? value) => value is { } number ? number : None;

    public static implicit operator Arg(bool value) => new(Tag.Bool, value ? 1 : 0);

    public static implicit operator Arg(torch.ScalarType value) => new(Tag.Int, (long)value);

    public static implicit operator Arg(torch.ScalarType? value) => value is { } type ? type : None;

    public static implicit operator Arg(Scalar? value) => value is null ? None : new(value.Tag, value.Bits);

    public static implicit operator Arg(torch.Device? value) => value is null ? None : new(Tag.Device, value.Packed);

    public static implicit operator Arg(torch.Generator? value) => value is null ? None : new(Tag.Generator, value.Handle, value);

    public static implicit operator Arg(ReadOnlySpan<long> value) => List(Tag.IntList, value);

    public static implicit operator Arg(long[]? value) => value is null ? None : List(Tag.IntList, new ReadOnlySpan<long>(value));

    public static implicit operator Arg(ReadOnlySpan<double> value) => List(Tag.DoubleList, value);

    public static implicit operator Arg(double[]? value) => value is null ? None : List(Tag.DoubleList, new ReadOnlySpan<double>(value));

    public static implicit operator Arg(ReadOnlySpan<bool> value) => List(Tag.BoolList, value);

    public static implicit operator Arg(string? value) => value is null ? None : Text(value);

    public static implicit operator Arg(ReadOnlySpan<torch.Tensor> value) => Tensors(Tag.TensorList, value);

    public static implicit operator Arg(torch.Tensor[] value) => Tensors(Tag.TensorList, new ReadOnlySpan<torch.Tensor>(value));

    /// <summary>A list of whole numbers, which stays on the caller's stack.</summary>
    public static Arg Ints([UnscopedRef] params ReadOnlySpan<long> values) => values;

    /// <summary>A list in which null stands for "no tensor", as advanced indexing has it.</summary>
    public static Arg Optional(torch.Tensor?[] value) => Tensors(Tag.OptionalTensorList, value);

    /// <summary>Writes the native form; <paramref name="pinned"/> is where <see cref="Data"/> is pinned.</summary>
    public void Write(Value* target, byte* pinned)
    {
        target->Tag = tag;
        target->Count = count;
        if (pinned is null)
        {
            target->Integer = bits;
        }
        else
        {
            target->Pointer = pinned;
        }
    }

    private static Arg List<T>(Tag tag, ReadOnlySpan<T> value)
        where T : unmanaged => new(tag, ref Unsafe.As<T, byte>(ref MemoryMarshal.GetReference(value)), value.Length);

    private static Arg Text(string value)
    {
        var bytes = Encoding.UTF8.GetBytes(value);
        return new(Tag.String, ref MemoryMarshal.GetArrayDataReference(bytes), bytes.Length);
    }

    private static Arg Tensors(Tag tag, ReadOnlySpan<torch.Tensor?> value)
    {
        var tensors = value.ToArray();
        var handles = new nint[tensors.Length];
        for (var i = 0; i < handles.Length; i++)
        {
            handles[i] = tensors[i] switch
            {
                { } tensor => tensor.Handle,
                null when tag == Tag.OptionalTensorList => 0,
                null => throw new ArgumentNullException(nameof(value), $"Tensor {i} of the list is null."),
            };
        }

        return new(tag, ref Unsafe.As<nint, byte>(ref MemoryMarshal.GetArrayDataReference(handles)), handles.Length, tensors);
    }
}
