namespace RegCache.Lab.Pooling.Language;

/// <summary>A chunk of all streams.</summary>
/// <param name="Data">Characters [T,B], int64, the context first.</param>
/// <param name="Target">The characters that follow the last T' ones [T',B], int64.</param>
/// <param name="Boundaries">Boundaries of the text [T,B], bool, or null.</param>
public sealed record TextChunk(Tensor Data, Tensor Target, Tensor? Boundaries) : ITensorHolder
{
    /// <inheritdoc />
    public IEnumerable<Tensor> Tensors => Boundaries is null ? [Data, Target] : [Data, Target, Boundaries];
}

/// <summary>
/// A text in B streams of equal length, read side by side in chunks. Before training reads it once more, every stream is turned by a random amount and the
/// chunks are shuffled: both are functions of the pass's number.
/// </summary>
public sealed class TextStreams
{
    private const long RollPurpose = 603, OrderPurpose = 604;
    private readonly byte[][] _streams;
    private readonly bool[][]? _boundaries;
    private readonly int _context;

    /// <summary>Cuts a text into streams; what is left over is dropped.</summary>
    /// <param name="text">Numbers of symbols.</param>
    /// <param name="batch">Streams B.</param>
    /// <param name="length">Scored characters of a chunk.</param>
    /// <param name="context">Characters before them that a chunk also holds.</param>
    /// <param name="boundaries">Finds the text's boundaries; null: it has none.</param>
    /// <param name="what">What the text is for, for the message: "training".</param>
    /// <exception cref="UserException">The text is too short.</exception>
    public TextStreams(byte[] text, int batch, int length, int context, TextBoundaries? boundaries, string what)
    {
        (Batch, ChunkLength, _context) = (batch, length, context);
        StreamLength = text.Length / batch;
        if (StreamLength < 2)
        {
            throw new UserException(
                $"The text for {what} has {text.Length} characters, too few for {batch} streams of two and more; lower the batch size or give a longer text.");
        }

        _streams = [.. Enumerable.Range(0, batch).Select(stream => text.AsSpan(stream * StreamLength, StreamLength).ToArray())];
        _boundaries = boundaries is null ? null : [.. _streams.Select(boundaries.Of)];
        Chunks = (StreamLength - 2) / length + 1;
    }

    /// <summary>Streams B.</summary>
    public int Batch { get; }

    /// <summary>Characters of a stream.</summary>
    public int StreamLength { get; }

    /// <summary>Scored characters of a chunk; the last one may have fewer.</summary>
    public int ChunkLength { get; }

    /// <summary>Chunks of a pass.</summary>
    public int Chunks { get; }

    /// <summary>How far every stream is turned in a pass, the passes before included; zero in the first.</summary>
    /// <param name="seed">The seed of the run.</param>
    /// <param name="pass">The pass, from 0.</param>
    public int[] Shifts(long seed, long pass)
    {
        var shifts = new int[Batch];
        for (var earlier = 1L; earlier <= pass; earlier++)
        {
            var random = CounterRandom.Of(seed, RollPurpose, earlier);
            foreach (ref var shift in shifts.AsSpan())
            {
                shift = (shift + random.NextIndex(StreamLength)) % StreamLength;
            }
        }

        return shifts;
    }

    /// <summary>The order of a pass's chunks.</summary>
    /// <param name="seed">The seed of the run.</param>
    /// <param name="pass">The pass, from 0.</param>
    public int[] Order(long seed, long pass) => CounterRandom.Of(seed, OrderPurpose, pass).NextPermutation(Chunks);

    /// <summary>A chunk.</summary>
    /// <param name="chunk">Its number in the text's order.</param>
    /// <param name="shifts">How many characters every stream has been turned to the left; null: not at all.</param>
    public TextChunk Chunk(int chunk, int[]? shifts = null)
    {
        var start = chunk * ChunkLength;
        var scored = Math.Min(ChunkLength, StreamLength - 1 - start);
        var begin = Math.Max(0, start - _context);
        var length = start + scored - begin;
        return new(
            torch.tensor(Read(_streams, begin, length, symbol => (long)symbol), [length, Batch]),
            torch.tensor(Read(_streams, start + 1, scored, symbol => (long)symbol), [scored, Batch]),
            _boundaries is null ? null : torch.tensor(Read(_boundaries, begin, length, mark => mark), [length, Batch]));

        TOut[] Read<TIn, TOut>(TIn[][] streams, int first, int count, Func<TIn, TOut> convert)
        {
            var values = new TOut[count * Batch];
            for (var stream = 0; stream < Batch; stream++)
            {
                var offset = first + (shifts?[stream] ?? 0);
                for (var row = 0; row < count; row++)
                {
                    values[(row * Batch) + stream] = convert(streams[stream][(offset + row) % StreamLength]);
                }
            }

            return values;
        }
    }
}
