using System.Collections;
using System.Runtime.CompilerServices;

namespace RegCache.Lab;

/// <summary>A value that holds tensors, so that <see cref="TensorScope"/> can move them out of a scope with it.</summary>
public interface ITensorHolder
{
    /// <summary>The tensors, in any order; those that are missing are left out.</summary>
    IEnumerable<Tensor> Tensors { get; }
}

/// <summary>Tensor lifetimes in one line: what a function makes on its way is disposed of, what it returns is kept.</summary>
public static class TensorScope
{
    /// <summary>
    /// Runs a function in a dispose scope of its own and moves the tensors of its result to the scope around it. Tensors that
    /// the function did not make stay where they belong.
    /// </summary>
    /// <param name="make">
    /// Returns a tensor, an <see cref="ITensorHolder"/>, a tuple, an array, a list or a dictionary of these, or something without
    /// tensors. Lazy sequences are refused: whoever reads them later would make their tensors a second time.
    /// </param>
    /// <exception cref="ArgumentException">The result is or has a sequence that is none of these.</exception>
    public static T Run<T>(Func<T> make)
    {
        using var scope = torch.NewDisposeScope();
        var result = make();
        foreach (var tensor in TensorsOf(result))
        {
            scope.MoveToOuter(tensor);
        }

        return result;
    }

    /// <summary>Takes the tensors of a value out of every scope: they live until they are disposed of, or nobody holds them.</summary>
    /// <param name="value">As what <see cref="Run"/> takes out of its scope.</param>
    /// <returns>The value.</returns>
    /// <exception cref="ArgumentException">The value is or has a sequence that <see cref="Run"/> refuses.</exception>
    public static T Keep<T>(T value)
    {
        foreach (var tensor in TensorsOf(value))
        {
            tensor.DetachFromDisposeScope();
        }

        return value;
    }

    /// <summary>The tensors of a value, of its parts if it is a tuple, an array or a list, of its values if it is a dictionary.</summary>
    internal static IEnumerable<Tensor> TensorsOf(object? value) => value switch
    {
        Tensor tensor => [tensor],
        ITensorHolder holder => holder.Tensors,
        ITuple tuple => Enumerable.Range(0, tuple.Length).SelectMany(index => TensorsOf(tuple[index])),
        IDictionary dictionary => dictionary.Values.Cast<object?>().SelectMany(TensorsOf),
        IList list => list.Cast<object?>().SelectMany(TensorsOf),
        IEnumerable and not string => throw new ArgumentException($"A {value.GetType()} may be lazy; make it an array or a list.", nameof(value)),
        _ => [],
    };
}
