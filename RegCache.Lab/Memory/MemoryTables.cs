using RegCache.Lab.Encoders;

namespace RegCache.Lab.Memory;

/// <summary>What the slots of a memory hold. Layers that share a table hold the same object, and its gradient is the sum of theirs.</summary>
public interface IMemoryTable
{
    /// <summary>The tensors, one row a slot.</summary>
    IReadOnlyList<Tensor> Tensors { get; }

    /// <summary>Reads some slots for every token: their weighted sum.</summary>
    /// <param name="tokens">The tokens that read [M,D].</param>
    /// <param name="slots">The slots that each token reads [M,R], int64.</param>
    /// <param name="weights">Their weights [M,R], float32.</param>
    /// <returns>What was read [M,V].</returns>
    Tensor Read(Tensor tokens, Tensor slots, Tensor weights);
}

/// <summary>A value a slot: a token reads <c>sum_j w_j values[slot_j]</c>.</summary>
/// <param name="Values">The values [n^2,V].</param>
public sealed record ValueTable(Tensor Values) : IMemoryTable
{
    /// <inheritdoc />
    public IReadOnlyList<Tensor> Tensors => [Values];

    /// <inheritdoc />
    public Tensor Read(Tensor tokens, Tensor slots, Tensor weights) => WeightedRows.Sum(Values, slots, weights);
}

/// <summary>
/// An expert of one hidden unit a slot (He 2024, arXiv:2407.04153, "PEER"): a token reads <c>sum_j w_j GELU(x . in[slot_j]) out[slot_j]</c>.
/// </summary>
/// <param name="In">What each expert looks for [n^2,D].</param>
/// <param name="Out">What each expert adds [n^2,D].</param>
public sealed record ExpertTable(Tensor In, Tensor Out) : IMemoryTable
{
    /// <inheritdoc />
    public IReadOnlyList<Tensor> Tensors => [In, Out];

    /// <inheritdoc />
    public Tensor Read(Tensor tokens, Tensor slots, Tensor weights) => TensorScope.Run(() =>
    {
        var hidden = torch.nn.functional.gelu(RowProducts.apply(tokens.to(In.dtype), In, slots));
        return WeightedRows.Sum(Out, slots, hidden * weights);
    });
}

/// <summary>
/// Gathers rows of a table and adds them up, weighted, in one pass: libtorch's embedding bag, forwards and backwards. The gathered rows
/// never become a tensor.
/// </summary>
internal static class WeightedRows
{
    /// <summary>Computes <c>sum_j w[m,j] table[slots[m,j]]</c>.</summary>
    /// <param name="table">Rows [S,V].</param>
    /// <param name="slots">Row numbers [M,R], int64.</param>
    /// <param name="weights">Weights [M,R].</param>
    /// <returns>The sums [M,V] in the table's type.</returns>
    public static Tensor Sum(Tensor table, Tensor slots, Tensor weights) => TensorScope.Run(() =>
    {
        // Sums are taken in float32 and rounded once, whatever the table's type.
        using var bag = torch.nn.EmbeddingBag_from_pretrained(
            table.to(torch.ScalarType.Float32), freeze: !table.requires_grad, mode: EmbeddingBagMode.Sum);
        return bag.call(slots, null, weights).to(table.dtype);
    });
}

/// <summary>
/// The products of a token with some rows of a table, <c>h[m,j] = x[m] . table[slots[m,j]]</c>, without the gathered rows. They are the
/// derivative of <c>x[m] . sum_j w[m,j] table[slots[m,j]]</c> by w, so the embedding bag's own backward pass computes them, and its forward
/// pass their gradients.
/// </summary>
internal sealed class RowProducts : torch.autograd.SingleTensorFunction<RowProducts>
{
    /// <inheritdoc />
    public override string Name => nameof(RowProducts);

    /// <summary>Arguments: tokens [M,V], table [S,V], slots [M,R]. Returns the products [M,R].</summary>
    public override Tensor forward(torch.autograd.AutogradContext ctx, params object[] vars)
    {
        var (tokens, table, slots) = ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2]);
        ctx.save_for_backward([tokens, table, slots]);
        using var scope = torch.NewDisposeScope();
        return Derivative(table.detach(), slots, torch.zeros(slots.shape, dtype: table.dtype, device: table.device).requires_grad_(), byWeights: true, tokens)
            .MoveToOuterDisposeScope();
    }

    /// <summary>The gradients of tokens and table.</summary>
    public override List<Tensor> backward(torch.autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var scope = torch.NewDisposeScope();
        var saved = ctx.get_saved_variables();
        var (tokens, table, slots) = (saved[0], saved[1].detach(), saved[2]);
        var byTokens = WeightedRows.Sum(table, slots, grad_output);
        var byTable = Derivative(table.requires_grad_(), slots, grad_output, byWeights: false, tokens);
        return [byTokens.MoveToOuterDisposeScope(), byTable.MoveToOuterDisposeScope(), null!];
    }

    private static Tensor Derivative(Tensor table, Tensor slots, Tensor weights, bool byWeights, Tensor tokens)
    {
        using var mode = torch.enable_grad();
        var sums = WeightedRows.Sum(table, slots, weights);
        return torch.autograd.grad([sums], [byWeights ? weights : table], [tokens.detach()])[0];
    }
}
