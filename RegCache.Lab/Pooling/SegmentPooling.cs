namespace RegCache.Lab.Pooling;

/// <summary>
/// Pools runs of tokens to their means, and hands every token the newest pooled row that it may see (Nawrot, Chorowski, Lancucki and Ponti 2023,
/// arXiv:2211.09761; docs/methods/dynamic-pooling.md, "Pooling and un-pooling"). Sums are scattered by row number: no tensor of
/// [B,T,S] is ever made.
/// </summary>
public static class SegmentPooling
{
    /// <summary>The mean of every segment.</summary>
    /// <param name="hidden">Tokens [T,B,C].</param>
    /// <param name="boundaries">
    /// The straight-through values of the boundaries [B,T], to which the gradient goes; null where boundaries are given or their gradient is cut off.
    /// </param>
    /// <param name="segments">The segments of those boundaries.</param>
    /// <param name="gradient">How boundaries get their gradient.</param>
    /// <returns>Rows [S,B,C]; those without tokens are zero.</returns>
    public static Tensor Mean(Tensor hidden, Tensor? boundaries, Segments segments, BoundaryGradient gradient) =>
        segments.Length == 0
            ? torch.zeros([0, hidden.shape[1], hidden.shape[2]], hidden.dtype, hidden.device)
            : TensorScope.Run(() => SegmentMean.apply(
                hidden,
                boundaries ?? segments.Boundaries,
                Segments.Flat(segments.Index, hidden.shape[1]),
                segments.Sizes.clamp(min: 1).to(torch.ScalarType.Float32),
                segments,
                boundaries is null ? null! : gradient));

    /// <summary>
    /// The pooled sequence of the language model: the null row, then the mean of every segment. Row 1 + g depends on tokens up to the one that
    /// closes segment g only.
    /// </summary>
    /// <param name="hidden">Tokens [T,B,C].</param>
    /// <param name="boundaries">Straight-through values [B,T], or null, see <see cref="Mean"/>.</param>
    /// <param name="segments">The segments.</param>
    /// <param name="nullRow">What tokens read before the first segment is closed [1,1,C].</param>
    /// <returns>Rows [1+S,B,C].</returns>
    public static Tensor Down(Tensor hidden, Tensor? boundaries, Segments segments, Tensor nullRow) => TensorScope.Run(() => torch.cat(
        [nullRow.to(hidden.dtype).expand(1, hidden.shape[1], -1), Mean(hidden, boundaries, segments, BoundaryGradients.Suffix)], 0));

    /// <summary>
    /// Every token reads the row of the newest closed segment, its own if it closes it; the null row before that. Boundaries get no gradient here: the
    /// shares of a token's row add up to one whatever they are.
    /// </summary>
    /// <param name="pooled">Rows [1+S,B,C], as <see cref="Down"/> gives them.</param>
    /// <param name="segments">The segments.</param>
    /// <returns>Tokens [T,B,C].</returns>
    public static Tensor Up(Tensor pooled, Segments segments) => TensorScope.Run(() =>
    {
        var (batch, tokens) = (pooled.shape[1], segments.Index.shape[0]);
        var newest = segments.Boundaries.to(torch.ScalarType.Int64).cumsum(1).transpose(0, 1);
        return pooled.flatten(0, 1).gather(0, Wide(Segments.Flat(newest, batch), pooled.shape[2])).view(tokens, batch, -1);
    });

    /// <summary>
    /// The same where no null row stands in front and boundaries are forced (DITTO): tokens read the row of the next segment after a closing one, and
    /// nothing where there is none. Boundaries get the gradient of the one token that they move.
    /// </summary>
    /// <param name="pooled">Rows [S,B,C].</param>
    /// <param name="boundaries">Straight-through values [B,T] with the forced one.</param>
    /// <param name="segments">Their segments.</param>
    /// <returns>Tokens [T,B,C].</returns>
    public static Tensor UpForced(Tensor pooled, Tensor boundaries, Segments segments) => TensorScope.Run(() =>
    {
        var marks = segments.Boundaries.to(torch.ScalarType.Int64);
        var (batch, length) = (marks.shape[0], marks.shape[1]);
        if (segments.Mode == BoundaryMode.Opens)
        {
            // Token i reads by the boundaries up to its successor, of which the forced first one is none.
            var others = marks.narrow(1, 1, length - 1);
            marks = torch.cat([others, torch.zeros([batch, 1], torch.ScalarType.Int64, marks.device)], 1);
        }

        var index = marks.cumsum(1).transpose(0, 1);
        return SegmentRead.apply(pooled, boundaries, Segments.Flat(index.clamp(max: segments.Length), batch), index, segments.Mode);
    });

    /// <summary>The sum of every segment, without a gradient for boundaries: of sizes and the like.</summary>
    /// <param name="values">Values [T,B,C].</param>
    /// <param name="segments">The segments.</param>
    /// <returns>Rows [S,B,C].</returns>
    public static Tensor Sum(Tensor values, Segments segments) => TensorScope.Run(() =>
    {
        var (batch, width) = (values.shape[1], values.shape[2]);
        return torch.zeros([(segments.Length + 1) * batch, width], values.dtype, values.device)
            .index_add(0, Segments.Flat(segments.Index, batch), values.reshape(-1, width), 1)
            .narrow(0, 0, segments.Length * batch).view(segments.Length, batch, width);
    });

    // One row number for all channels, without copies. libtorch sums and gathers rows with such numbers on all threads; index_add takes one row at a time.
    private static Tensor Wide(Tensor rows, long width) => rows.unsqueeze(1).expand(-1, width);

    /// <summary>Reads rows, with an explicit backward pass; the row behind the last one is nothing.</summary>
    private sealed class SegmentRead : torch.autograd.SingleTensorFunction<SegmentRead>
    {
        public override string Name => nameof(SegmentRead);

        public override Tensor forward(torch.autograd.AutogradContext ctx, params object[] vars)
        {
            var (pooled, rows, index) = ((Tensor)vars[0], (Tensor)vars[2], (Tensor)vars[3]);
            ctx.save_for_backward([pooled, rows, index]);
            ctx.save_data("mode", vars[4]);
            using var scope = torch.NewDisposeScope();
            return Padded(pooled).index_select(0, rows).view(index.shape[0], pooled.shape[1], -1).MoveToOuterDisposeScope();
        }

        public override List<Tensor> backward(torch.autograd.AutogradContext ctx, Tensor grad_output)
        {
            using var scope = torch.NewDisposeScope();
            var saved = ctx.get_saved_variables();
            var (pooled, rows, index) = (saved[0], saved[1], saved[2]);
            var (length, batch, width) = (pooled.shape[0], pooled.shape[1], pooled.shape[2]);
            var flat = grad_output.reshape(-1, width);
            var byRows = torch.zeros([(length + 1) * batch, width], pooled.dtype, pooled.device).index_add_(0, rows, flat, 1)
                .narrow(0, 0, length * batch).view_as(pooled);
            var padded = Padded(pooled);
            Tensor Products(Tensor places) => (padded.index_select(0, Segments.Flat(places, batch)) * flat).sum(-1).view_as(index);
            var here = Products(index.clamp(max: length));
            var before = torch.where(index.eq(0), torch.zeros_like(here), Products((index - 1).clamp(min: 0)));
            var moved = (here - before).transpose(0, 1);
            var others = moved.narrow(1, 0, moved.shape[1] - 1);
            var zero = torch.zeros([batch, 1], moved.dtype, moved.device);
            var byBoundaries = torch.cat((BoundaryMode)ctx.get_data("mode") == BoundaryMode.Closes ? [others, zero] : [zero, others], 1);
            return [byRows.MoveToOuterDisposeScope(), byBoundaries.MoveToOuterDisposeScope(), null!, null!, null!];
        }

        private static Tensor Padded(Tensor pooled) =>
            torch.cat([pooled.flatten(0, 1), torch.zeros([pooled.shape[1], pooled.shape[2]], pooled.dtype, pooled.device)], 0);
    }

    /// <summary>Means of rows, with an explicit backward pass. What is saved for that has to outlive the forward pass, so the caller makes it.</summary>
    private sealed class SegmentMean : torch.autograd.SingleTensorFunction<SegmentMean>
    {
        public override string Name => nameof(SegmentMean);

        public override Tensor forward(torch.autograd.AutogradContext ctx, params object[] vars)
        {
            var (hidden, rows, sizes, segments) = ((Tensor)vars[0], (Tensor)vars[2], (Tensor)vars[3], (Segments)vars[4]);
            using var scope = torch.NewDisposeScope();
            var (batch, width) = (hidden.shape[1], hidden.shape[2]);
            ctx.save_for_backward([hidden, segments.Boundaries, segments.Index, rows, sizes]);
            ctx.save_data("gradient", vars[5]);
            ctx.save_data("mode", segments.Mode);

            // The row behind the last one takes the tokens that belong to none. Low precision is summed in float32 and rounded once.
            var sums = torch.zeros([(segments.Length + 1) * batch, width], torch.ScalarType.Float32, hidden.device)
                .scatter_add_(0, Wide(rows, width), hidden.reshape(-1, width).to(torch.ScalarType.Float32));
            return sums.narrow(0, 0, segments.Length * batch).view(segments.Length, batch, width).div_(sizes.unsqueeze(2)).to(hidden.dtype)
                .MoveToOuterDisposeScope();
        }

        public override List<Tensor> backward(torch.autograd.AutogradContext ctx, Tensor grad_output)
        {
            using var scope = torch.NewDisposeScope();
            var saved = ctx.get_saved_variables();
            var (hidden, boundaries, index, rows, sizes) = (saved[0], saved[1], saved[2], saved[3], saved[4]);
            var (tokens, batch, width) = (hidden.shape[0], hidden.shape[1], hidden.shape[2]);
            var padded = torch.zeros([sizes.shape[0] + 1, batch, width], torch.ScalarType.Float32, hidden.device);
            padded.narrow(0, 0, sizes.shape[0]).copy_(grad_output).div_(sizes.unsqueeze(2));
            var shares = padded.flatten(0, 1);
            var byHidden = shares.gather(0, Wide(rows, width)).view(tokens, batch, width);
            var byBoundaries = ctx.get_data("gradient") is BoundaryGradient gradient
                ? gradient(new(hidden.to(torch.ScalarType.Float32), boundaries, (BoundaryMode)ctx.get_data("mode"), index, sizes, shares, byHidden))
                : null;
            return [byHidden.to(hidden.dtype).MoveToOuterDisposeScope(), byBoundaries?.MoveToOuterDisposeScope()!, null!, null!, null!, null!];
        }
    }
}
