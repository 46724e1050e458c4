using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization.Integer;

/// <summary>Halves of blocks whose linear layers have packed weights, float or integer: one call each (Native/block.cpp).</summary>
internal sealed unsafe class OneDnnBlockBackend : IBlockBackend
{
    /// <summary>The one instance: the backend has no state.</summary>
    public static OneDnnBlockBackend Instance { get; } = new();

    /// <inheritdoc />
    public bool CanAttend(BlockLayers layers, Tensor tokens) =>
        layers is { AttentionIn: OneDnnLinear into, Attention: Attention, AttentionDropout: null, AttentionOut: OneDnnLinear outOf }
        && outOf.Layer.Inputs == tokens.shape[^1]
        && Fits(into, outOf, layers.AttentionNorm, tokens);

    /// <inheritdoc />
    public (Tensor Tokens, Tensor? Queries, Tensor? Keys) Attend(
        BlockLayers layers, Tensor tokens, AttentionExtras extras, bool keepHeads)
    {
        using var scope = torch.NewDisposeScope();
        var (into, outOf) = ((OneDnnLinear)layers.AttentionIn, (OneDnnLinear)layers.AttentionOut);
        var dense = tokens.contiguous();
        var result = torch.empty_like(dense);
        long[] shape = [dense.shape[0], layers.Heads, dense.shape[1], dense.shape[2] / layers.Heads];
        var queries = keepHeads ? torch.empty(shape) : null;
        var keys = keepHeads ? torch.empty(shape) : null;
        var (stream, norm) = (StreamOf(dense, result), NormOf(layers.AttentionNorm));
        var attention = new NativeAttention { Heads = layers.Heads, Queries = NativeCall.Floats(queries), Keys = NativeCall.Floats(keys) };
        AddPrefix(ref attention, extras);
        AddBias(ref attention, extras.Bias, shape);
        var gain = layers.LayerScale1?.to(torch.ScalarType.Float32);
        var (first, second, place) = (into.Layer, outOf.Layer, default(NativePlace));
        if (dense.NumberOfElements > 0)
        {
            var status = Native.rc_attend(
                &stream, &norm, &first, &attention, &second, NativeCall.Floats(gain), torch.get_num_threads(), &place);
            NativeCall.Check(status, place, stream.Length, into, outOf);
        }

        GC.KeepAlive(layers);
        return (result.MoveToOuterDisposeScope(), Heads(queries), Heads(keys));

        Tensor? Heads(Tensor? made) => made?.to(tokens.dtype).MoveToOuterDisposeScope();
    }

    /// <inheritdoc />
    public bool CanFeed(BlockLayers layers, Tensor tokens) =>
        layers.Mlp is FeedForward { In: OneDnnLinear into, Out: OneDnnLinear outOf } && Fits(into, outOf, layers.MlpNorm, tokens);

    /// <inheritdoc />
    public Tensor Feed(BlockLayers layers, Tensor tokens)
    {
        using var scope = torch.NewDisposeScope();
        var mlp = (FeedForward)layers.Mlp;
        var (into, outOf) = ((OneDnnLinear)mlp.In, (OneDnnLinear)mlp.Out);
        var dense = tokens.is_contiguous() ? tokens : tokens.contiguous();
        var (stream, norm) = (StreamOf(dense, dense), NormOf(layers.MlpNorm));
        var gain = layers.LayerScale2?.to(torch.ScalarType.Float32);
        var (first, second, place) = (into.Layer, outOf.Layer, default(NativePlace));
        if (dense.NumberOfElements > 0)
        {
            var status = Native.rc_feed(
                &stream, &norm, &first, (int)mlp.Activation + 1, &second, NativeCall.Floats(gain), torch.get_num_threads(), &place);
            NativeCall.Check(status, place, stream.Length, into, outOf);
        }

        GC.KeepAlive(layers);
        return ReferenceEquals(dense, tokens) ? tokens : dense.MoveToOuterDisposeScope();
    }

    private static bool Fits(OneDnnLinear into, OneDnnLinear outOf, LayerNorm norm, Tensor tokens) =>
        tokens.dtype == into.StreamType
        && tokens.dtype == outOf.StreamType
        && NativeCall.CanRead(tokens)
        && norm.Weight.dtype == torch.ScalarType.Float32
        && norm.Weight.is_contiguous()
        && norm.Bias.is_contiguous();

    private static NativeStream StreamOf(Tensor from, Tensor to) => new()
    {
        From = NativeCall.Address(from),
        To = NativeCall.Address(to),
        Narrow = from.dtype == torch.ScalarType.BFloat16 ? 1 : 0,
        Images = (int)from.shape[0],
        Length = (int)from.shape[1],
        Width = (int)from.shape[2],
    };

    private static NativeNorm NormOf(LayerNorm norm) => new()
    {
        Gain = NativeCall.Floats(norm.Weight),
        Offset = NativeCall.Floats(norm.Bias),
        Epsilon = (float)norm.Epsilon,
    };

    private static void AddPrefix(ref NativeAttention attention, AttentionExtras extras)
    {
        if (extras is not { PrefixKeys: { } keys, PrefixValues: { } values })
        {
            return;
        }

        var (rows, width) = (keys.shape[1], keys.shape[2]);
        attention.Prefix = (int)rows;
        attention.PrefixKeys = NativeCall.Floats(keys.to(torch.ScalarType.Float32).contiguous());
        attention.PrefixValues = NativeCall.Floats(values.to(torch.ScalarType.Float32).contiguous());
        (attention.PrefixHead, attention.PrefixRow) = (rows * width, width);
    }

    // The bias is broadcast to [B,H,N,N]: axes of size one, and those that it lacks, are not walked along.
    private static void AddBias(ref NativeAttention attention, Tensor? bias, long[] heads)
    {
        if (bias is null)
        {
            return;
        }

        var dense = bias.to(torch.ScalarType.Float32).contiguous();
        var walked = new long[heads.Length];
        long stride = 1;
        for (var axis = 1; axis <= dense.Dimensions; axis++)
        {
            var size = dense.shape[^axis];
            walked[^axis] = size == 1 ? 0 : stride;
            stride *= size;
        }

        attention.Bias = NativeCall.Floats(dense);
        (attention.BiasImage, attention.BiasHead, attention.BiasRow, attention.BiasColumn) = (walked[0], walked[1], walked[2], walked[3]);
    }
}
