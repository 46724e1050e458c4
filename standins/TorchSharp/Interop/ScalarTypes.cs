using System.Runtime.CompilerServices;

namespace TorchSharp.Interop;

/// <summary>Which element type holds which .NET type.</summary>
internal static class ScalarTypes
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static torch.ScalarType Of<T>()
        where T : unmanaged
    {
        // The compiler keeps one branch only.
        if (typeof(T) == typeof(float))
        {
            return torch.ScalarType.Float32;
        }

        if (typeof(T) == typeof(double))
        {
            return torch.ScalarType.Float64;
        }

        if (typeof(T) == typeof(long))
        {
            return torch.ScalarType.Int64;
        }

        if (typeof(T) == typeof(int))
        {
            return torch.ScalarType.Int32;
        }

        if (typeof(T) == typeof(short))
        {
            return torch.ScalarType.Int16;
        }

        if (typeof(T) == typeof(byte))
        {
            return torch.ScalarType.Byte;
        }

        if (typeof(T) == typeof(sbyte))
        {
            return torch.ScalarType.Int8;
        }

        if (typeof(T) == typeof(bool))
        {
            return torch.ScalarType.Bool;
        }

        if (typeof(T) == typeof(Half))
        {
            return torch.ScalarType.Float16;
        }

        throw new ArgumentException($"A tensor cannot hold elements of the type {typeof(T).Name}.");
    }

    public static torch.ScalarType Of(Type type) =>
        type == typeof(float) ? torch.ScalarType.Float32
        : type == typeof(double) ? torch.ScalarType.Float64
        : type == typeof(long) ? torch.ScalarType.Int64
        : type == typeof(int) ? torch.ScalarType.Int32
        : type == typeof(short) ? torch.ScalarType.Int16
        : type == typeof(byte) ? torch.ScalarType.Byte
        : type == typeof(sbyte) ? torch.ScalarType.Int8
        : type == typeof(bool) ? torch.ScalarType.Bool
        : type == typeof(Half) ? torch.ScalarType.Float16
        : throw new ArgumentException($"A tensor cannot hold elements of the type {type.Name}.");
}
