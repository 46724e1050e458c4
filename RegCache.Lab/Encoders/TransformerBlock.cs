namespace RegCache.Lab.Encoders;

/// <summary>
/// One pre-norm residual block with its seams: <c>x += attention(ln_1(x))</c>, then <c>x += mlp(ln_2(x))</c>
/// (Dosovitskiy et al. 2021, arXiv:2010.11929, equations 2 and 3). Both towers and all methods run this code.
/// </summary>
public static class TransformerBlock
{
    /// <summary>Runs one block.</summary>
    /// <param name="input">The stream that enters, tokens [B,N,C].</param>
    /// <param name="block">The block's index, 0-based.</param>
    /// <param name="layers">The layers that run, already under the plan's transform.</param>
    /// <param name="plan">What is plugged into the seams.</param>
    /// <param name="mask">Added to the attention logits, broadcast to [B,H,N,N]; null for none.</param>
    /// <param name="probe">Observer of the activations, or null.</param>
    /// <param name="keepTokens">
    /// Leading tokens that anyone looks at afterwards; null for all. Where each token passes the MLP by itself, the others
    /// do not, and do not leave.
    /// </param>
    /// <returns>The stream that leaves, in the caller's dispose scope.</returns>
    public static TokenBatch Forward(
        TokenBatch input,
        int block,
        BlockLayers layers,
        BlockPlan plan,
        Tensor? mask = null,
        IActivationProbe? probe = null,
        int? keepTokens = null) => TensorScope.Run(() =>
    {
        var observer = new BlockProbe(probe, block);
        var context = new StageContext(block);
        var batch = layers.Before.Concat(plan.Before).Aggregate(input, (stream, stage) => stage.Apply(stream, context));
        observer.Observe(ActivationKind.BlockInput, batch.Tokens);

        var extras = Extras(batch, layers, plan, mask, block);
        var (attended, queries, keys) =
            AttentionBackend(batch.Tokens, layers, observer)?.Attend(layers, batch.Tokens, extras, keepHeads: plan.Between.Count > 0)
            ?? Attend(batch.Tokens, layers, extras, observer);
        batch = batch with { Tokens = attended };
        if (plan.Between.Count > 0)
        {
            context = context with { Queries = queries, Keys = keys, Extras = extras };
            batch = plan.Between.Aggregate(batch, (stream, stage) => stage.Apply(stream, context));
        }

        if (keepTokens is { } count && layers.Mlp.IsRowwise)
        {
            batch = batch.Leading(count);
        }

        // The attention's result is a fresh tensor that nothing else reads, so a backend may work in place.
        var left = MlpBackend(batch.Tokens, layers, observer)?.Feed(layers, batch.Tokens) ?? Feed(batch.Tokens, layers, observer);
        batch = batch with { Tokens = left };
        observer.Observe(ActivationKind.BlockOutput, batch.Tokens);
        return batch;
    });

    private static IBlockBackend? AttentionBackend(Tensor tokens, BlockLayers layers, BlockProbe probe) =>
        layers.AttentionIn is IBackendLinear { Backend: var backend }
        && !torch.is_grad_enabled()
        && !probe.WantsAny(ActivationKind.AttentionNorm, ActivationKind.AttentionOut)
        && backend.CanAttend(layers, tokens)
            ? backend
            : null;

    private static IBlockBackend? MlpBackend(Tensor tokens, BlockLayers layers, BlockProbe probe) =>
        layers.Mlp is FeedForward { In: IBackendLinear { Backend: var backend } }
        && !torch.is_grad_enabled()
        && !probe.WantsAny(ActivationKind.MlpNorm, ActivationKind.MlpOut)
        && backend.CanFeed(layers, tokens)
            ? backend
            : null;

    private static AttentionExtras Extras(TokenBatch batch, BlockLayers layers, BlockPlan plan, Tensor? mask, int block)
    {
        var extras = new AttentionExtras { Bias = AttentionBias(batch, plan, mask), Dropout = layers.AttentionDropout };
        if (plan.Prefix is not { } prefix || plan.PrefixCount == 0)
        {
            return extras;
        }

        var (prefixKeys, prefixValues) = prefix.Expand(block, layers.Heads, plan.PrefixCount);
        return extras with { PrefixKeys = prefixKeys, PrefixValues = prefixValues };
    }

    private static (Tensor Tokens, Tensor? Queries, Tensor? Keys) Attend(
        Tensor tokens, BlockLayers layers, AttentionExtras extras, BlockProbe probe)
    {
        using var normalised = layers.AttentionNorm.Apply(tokens);
        probe.Observe(ActivationKind.AttentionNorm, normalised);
        using var projected = layers.AttentionIn.Apply(normalised);
        var (images, length) = (projected.shape[0], projected.shape[1]);
        // One copy lays out the operands of the attention products; without it each product would copy its own.
        var heads = projected.view(images, length, 3, layers.Heads, -1).permute(2, 0, 3, 1, 4).contiguous();
        var (queries, keys, values) = (heads[0], heads[1], heads[2]);
        using var mixedHeads = layers.Attention.Apply(queries, keys, values, extras, probe);
        using var mixed = mixedHeads.transpose(1, 2).reshape(images, length, -1);
        probe.Observe(ActivationKind.AttentionContext, mixed);
        var attended = layers.AttentionOut.Apply(mixed);
        probe.Observe(ActivationKind.AttentionOut, attended);
        return (AddBranch(tokens, attended, layers.LayerScale1), queries, keys);
    }

    private static Tensor Feed(Tensor tokens, BlockLayers layers, BlockProbe probe)
    {
        using var normalised = layers.MlpNorm.Apply(tokens);
        probe.Observe(ActivationKind.MlpNorm, normalised);
        var transformed = layers.Mlp.Apply(normalised, probe);
        probe.Observe(ActivationKind.MlpOut, transformed);
        return AddBranch(tokens, transformed, layers.LayerScale2);
    }

    private static Tensor? AttentionBias(TokenBatch batch, BlockPlan plan, Tensor? mask)
    {
        if (batch.Sizes is not { } sizes || !(plan.ProportionalAttention || batch.HasPadding))
        {
            return mask;
        }

        // [B,N,1] -> [B,1,1,N]: every query sees the size of the key's token. That of padding is 0, and its logarithm hides it.
        var weights = plan.ProportionalAttention ? sizes : sizes.clamp(max: 1);
        var bias = weights.log().to(batch.Tokens.dtype).transpose(1, 2).unsqueeze(1);
        return mask is null ? bias : bias + mask;
    }

    // The branch is a fresh tensor that nothing else reads, so without gradients it can take the sum in place.
    private static Tensor AddBranch(Tensor stream, Tensor branch, Tensor? gain)
    {
        if (torch.is_grad_enabled())
        {
            return gain is null ? stream + branch : stream + (branch * gain);
        }

        return gain is null ? branch.add_(stream) : branch.mul_(gain).add_(stream);
    }
}
