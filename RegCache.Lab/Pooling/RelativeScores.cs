namespace RegCache.Lab.Pooling;

/// <summary>Which keys a query sees, and how the distance to later ones is counted.</summary>
public enum RelativeDirection
{
    /// <summary>Only the query's own position and earlier ones.</summary>
    Causal,

    /// <summary>All of them, by signed distances.</summary>
    Bidirectional,

    /// <summary>
    /// All of them, but later ones by what shifting a table of distances 0 and more leaves there: zero for the next one, the next query's
    /// products with mirrored far distances beyond. Only to run towers that were trained so.
    /// </summary>
    LegacyRelShift,
}

/// <summary>
/// Attention scores by content and by distance (Dai et al. 2019, Transformer-XL, arXiv:1901.02860, section 3.3):
/// <c>score(i,j) = (q_i + u) . k_j + (q_i + v) . r(i - j)</c>.
/// </summary>
/// <remarks>
/// The products with the R distances of the table are one matrix [T,R] for every head. The score's second part is a view of it, in which a row starts
/// one element earlier than the row before, so nothing is shifted or gathered. The backward pass writes through the same view.
/// </remarks>
public static class RelativeScores
{
    /// <summary>
    /// Sines and cosines of distances, halves side by side: <c>[sin(t w), cos(t w)]</c> with <c>w_m = 10000^(-2m/C)</c>.
    /// </summary>
    /// <param name="frequencies">The frequencies w [C/2], `pos_emb.inv_freq`.</param>
    /// <param name="length">Positions T.</param>
    /// <param name="direction">Causal and legacy tables hold T-1 .. 0, bidirectional ones T-1 .. -(T-1).</param>
    /// <returns>The table [R,1,C].</returns>
    public static Tensor Table(Tensor frequencies, long length, RelativeDirection direction) => TensorScope.Run(() =>
    {
        var last = direction == RelativeDirection.Bidirectional ? -(length - 1) : 0;
        var distances = torch.arange(length - 1, last - 1, -1, torch.ScalarType.Float32, frequencies.device);
        var angles = distances.unsqueeze(1) * frequencies.to(torch.ScalarType.Float32).unsqueeze(0);
        return torch.cat([angles.sin(), angles.cos()], 1).unsqueeze(1);
    });

    /// <summary>The frequencies of <see cref="Table"/> for C channels.</summary>
    public static Tensor Frequencies(int channels) =>
        torch.tensor([.. Enumerable.Range(0, channels / 2).Select(index => (float)Math.Pow(10000, -2.0 * index / channels))]);

    /// <summary>Computes the scores.</summary>
    /// <param name="content">Queries plus u [H,B,T,d].</param>
    /// <param name="position">Queries plus v [H,B,T,d].</param>
    /// <param name="keys">Keys [H,B,T,d].</param>
    /// <param name="distances">The projected table [H,R,d].</param>
    /// <param name="direction">How it was made.</param>
    /// <param name="mask">Added to the scores [T,T] or [B,1,T], minus infinity for hidden keys; null hides none. Causal attention needs one.</param>
    /// <returns>Scores [H,B,T,T].</returns>
    public static Tensor Of(Tensor content, Tensor position, Tensor keys, Tensor distances, RelativeDirection direction, Tensor? mask = null) =>
        direction == RelativeDirection.LegacyRelShift
            ? TensorScope.Run(() =>
            {
                var scores = content.matmul(keys.transpose(-2, -1)) + LegacyShift(position.matmul(distances.transpose(-2, -1).unsqueeze(1)));
                return mask is null ? scores : scores + mask;
            })
            : Scores.apply(content, position, keys, distances, mask!);

    /// <summary>The shift of <see cref="RelativeDirection.LegacyRelShift"/>: [..,T,T] by distances T-1 .. 0 to [..,T,T] by keys.</summary>
    public static Tensor LegacyShift(Tensor products) => TensorScope.Run(() =>
    {
        var length = products.shape[^1];
        long[] outer = products.shape[..^2];
        var padded = torch.cat([torch.zeros_like(products.narrow(-1, 0, 1)), products], -1).view([.. outer, length + 1, length]);
        return padded.narrow(-2, 1, length).contiguous();
    });

    private sealed class Scores : torch.autograd.SingleTensorFunction<Scores>
    {
        public override string Name => "RelativeScores";

        public override Tensor forward(torch.autograd.AutogradContext ctx, params object[] vars)
        {
            var (content, position, keys, distances) = ((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2], (Tensor)vars[3]);
            ctx.save_for_backward([content, position, keys, distances]);
            using var scope = torch.NewDisposeScope();
            var (heads, batch, length) = (content.shape[0], content.shape[1], content.shape[2]);
            var byDistance = position.flatten(1, 2).bmm(distances.transpose(1, 2));
            var scores = content.flatten(0, 1).bmm(keys.flatten(0, 1).transpose(1, 2)).add_(Shifted(byDistance, heads * batch, length, length))
                .view(heads, batch, length, length);
            return (vars[4] is Tensor mask ? scores.add_(mask) : scores).MoveToOuterDisposeScope();
        }

        public override List<Tensor> backward(torch.autograd.AutogradContext ctx, Tensor grad_output)
        {
            using var scope = torch.NewDisposeScope();
            var saved = ctx.get_saved_variables();
            var (content, position, keys, distances) = (saved[0], saved[1], saved[2], saved[3]);
            var (heads, batch, length) = (content.shape[0], content.shape[1], content.shape[2]);
            var gradient = grad_output.contiguous().view(heads * batch, length, length);
            var byDistance = Unshifted(gradient, heads * batch, length, distances.shape[1]).view(heads, batch * length, -1);
            List<Tensor> gradients =
            [
                gradient.bmm(keys.flatten(0, 1)).view_as(content),
                byDistance.bmm(distances).view_as(position),
                gradient.transpose(1, 2).bmm(content.flatten(0, 1)).view_as(keys),
                byDistance.transpose(1, 2).bmm(position.flatten(1, 2)),
            ];
            return [.. gradients.Select(tensor => tensor.MoveToOuterDisposeScope()), null!];
        }

        // Element (i,j) of the view is element (i, T-1-i+j) of a matrix [T,R], the product with distance i - j.
        private static Tensor Shifted(Tensor matrices, long count, long length, long columns)
        {
            var table = matrices.NumberOfElements / (count * length);
            return matrices.as_strided([count, length, columns], [length * table, table - 1, 1], length - 1);
        }

        // With distances of 0 and more, the view's last column and the next row's first are one element: later keys' gradients, which are zero, must not
        // be written over it. The last row's last element is nobody else's.
        private static Tensor Unshifted(Tensor gradient, long count, long length, long table)
        {
            var matrices = torch.zeros([count, length, table], gradient.dtype, gradient.device);
            if (table > length)
            {
                Shifted(matrices, count, length, length).copy_(gradient);
                return matrices;
            }

            Shifted(matrices, count, length, length - 1).copy_(gradient.narrow(2, 0, length - 1));
            matrices.select(1, length - 1).select(1, length - 1).copy_(gradient.select(1, length - 1).select(1, length - 1));
            return matrices;
        }
    }
}
