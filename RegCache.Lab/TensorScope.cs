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
    /// Returns a tensor, an <see cref="ITensorHolder"/>, a tuple or a list of these, or something without tensors.
    /// </param>
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
    public static T Keep<T>(T value)
    {
        foreach (var tensor in TensorsOf(value))
        {
            tensor.DetachFromDisposeScope();
        }

        return value;
    }

    /// <summary>The tensors of a value, of its parts if it is a tuple or a list.</summary>
    internal static IEnumerable<Tensor> TensorsOf(object? value) => value switch
    {
        Tensor tensor => [tensor],
        ITensorHolder holder => holder.Tensors,
        ITuple tuple => Enumerable.Range(0, tuple.Length).SelectMany(index => TensorsOf(tuple[index])),
        IEnumerable<object?> list => list.SelectMany(TensorsOf),
        _ => [],
    };
}
