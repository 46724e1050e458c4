using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace TorchSharp.Interop;

/// <summary>
/// Calls libtorch's operators by schema name ("aten::softmax.int"). An operator is looked up once; arguments that are
/// left out take the schema's defaults.
/// </summary>
internal static unsafe class Op
{
    /// <summary>Enough for everything but lists of tensors, which grow the room when they need it.</summary>
    private const int ListCapacity = 64;

    /// <summary>Calls an operator with one result.</summary>
    public static torch.Tensor Call(
        ReadOnlySpan<byte> name, in Arg a = default, in Arg b = default, in Arg c = default, in Arg d = default,
        in Arg e = default, in Arg f = default, in Arg g = default, in Arg h = default)
    {
        Value result;
        Invoke(name, &result, 1, a, b, c, d, e, f, g, h);
        return new torch.Tensor((nint)result.Pointer);
    }

    /// <summary>Calls an operator that changes its first argument, and returns that.</summary>
    public static torch.Tensor InPlace(
        ReadOnlySpan<byte> name, torch.Tensor self, in Arg b = default, in Arg c = default, in Arg d = default,
        in Arg e = default, in Arg f = default, in Arg g = default, in Arg h = default)
    {
        Invoke(name, null, 0, self, b, c, d, e, f, g, h);
        return self;
    }

    /// <summary>Calls an operator with two results.</summary>
    public static (torch.Tensor, torch.Tensor) Call2(
        ReadOnlySpan<byte> name, in Arg a = default, in Arg b = default, in Arg c = default, in Arg d = default,
        in Arg e = default, in Arg f = default, in Arg g = default, in Arg h = default)
    {
        var results = stackalloc Value[2];
        Invoke(name, results, 2, a, b, c, d, e, f, g, h);
        return (new torch.Tensor((nint)results[0].Pointer), new torch.Tensor((nint)results[1].Pointer));
    }

    /// <summary>Calls an operator with three results.</summary>
    public static (torch.Tensor, torch.Tensor, torch.Tensor) Call3(
        ReadOnlySpan<byte> name, in Arg a = default, in Arg b = default, in Arg c = default, in Arg d = default,
        in Arg e = default, in Arg f = default, in Arg g = default, in Arg h = default)
    {
        var results = stackalloc Value[3];
        Invoke(name, results, 3, a, b, c, d, e, f, g, h);
        return (new torch.Tensor((nint)results[0].Pointer), new torch.Tensor((nint)results[1].Pointer), new torch.Tensor((nint)results[2].Pointer));
    }

    /// <summary>Calls an operator whose result is a list of at most <paramref name="capacity"/> tensors.</summary>
    public static torch.Tensor[] CallList(
        ReadOnlySpan<byte> name, long capacity, in Arg a = default, in Arg b = default, in Arg c = default, in Arg d = default,
        in Arg e = default)
    {
        var room = checked((int)capacity);
        var rented = room > ListCapacity ? new Value[room] : null;
        var local = stackalloc Value[ListCapacity];
        fixed (Value* heap = rented)
        {
            var results = rented is null ? local : heap;
            var count = Invoke(name, results, rented is null ? ListCapacity : room, a, b, c, d, e, default, default, default);
            var tensors = new torch.Tensor[count];
            for (var i = 0; i < count; i++)
            {
                tensors[i] = new torch.Tensor((nint)results[i].Pointer);
            }

            return tensors;
        }
    }

    /// <summary>Calls an operator whose result is a truth value.</summary>
    public static bool CallBool(
        ReadOnlySpan<byte> name, in Arg a = default, in Arg b = default, in Arg c = default, in Arg d = default, in Arg e = default)
    {
        Value result;
        Invoke(name, &result, 1, a, b, c, d, e, default, default, default);
        return result.Integer != 0;
    }

    /// <summary>Calls an operator whose result is a number of any kind.</summary>
    public static Scalar CallScalar(ReadOnlySpan<byte> name, in Arg a = default)
    {
        Value result;
        Invoke(name, &result, 1, a, default, default, default, default, default, default, default);
        return new Scalar(result.Tag, result.Integer);
    }

    /// <summary>Whether this libtorch has the operator.</summary>
    public static bool Exists(ReadOnlySpan<byte> name)
    {
        fixed (byte* text = name)
        {
            return Native.tsb_operator(text, name.Length) is not null;
        }
    }

    private static int Invoke(
        ReadOnlySpan<byte> name, Value* results, int capacity, in Arg a, in Arg b, in Arg c, in Arg d, in Arg e, in Arg f,
        in Arg g, in Arg h)
    {
        var arguments = stackalloc Value[8];
        fixed (byte* pa = &a.Data, pb = &b.Data, pc = &c.Data, pd = &d.Data, pe = &e.Data, pf = &f.Data, pg = &g.Data, ph = &h.Data)
        {
            a.Write(arguments, pa);
            b.Write(arguments + 1, pb);
            c.Write(arguments + 2, pc);
            d.Write(arguments + 3, pd);
            e.Write(arguments + 4, pe);
            f.Write(arguments + 5, pf);
            g.Write(arguments + 6, pg);
            h.Write(arguments + 7, ph);
            var count = 8;
            while (count > 0 && arguments[count - 1].Tag == Tag.Absent)
            {
                count--;
            }

            var written = Native.tsb_call(OpTable.Find(name), arguments, count, results, capacity);

            // A handle in `arguments` is good only as long as its owner has not been finalized.
            GC.KeepAlive(a.Owner);
            GC.KeepAlive(b.Owner);
            GC.KeepAlive(c.Owner);
            GC.KeepAlive(d.Owner);
            GC.KeepAlive(e.Owner);
            GC.KeepAlive(f.Owner);
            GC.KeepAlive(g.Owner);
            GC.KeepAlive(h.Owner);
            return written >= 0 ? written : Fail();
        }
    }

    [DoesNotReturn]
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int Fail() => throw Native.Error();
}
