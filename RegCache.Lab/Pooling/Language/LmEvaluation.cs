using System.Diagnostics;
using CsvHelper;
using RegCache.Lab.Distributed;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Pooling.Language;

/// <summary>How well a language model predicts a text, and how much it pools.</summary>
/// <param name="Loss">Mean cross entropy of a character in nats.</param>
/// <param name="Characters">Characters scored.</param>
/// <param name="Length">Characters scored of a chunk.</param>
/// <param name="Context">Characters before them that the model reads, too.</param>
/// <param name="ShorteningFactor">Characters for each boundary; null where nothing is pooled.</param>
/// <param name="PooledLength">Mean rows of the pooled sequence that a chunk took, the null row and padding included; null where nothing is pooled.</param>
/// <param name="Match">How predicted boundaries agree with what they are compared with; null where none are predicted.</param>
/// <param name="Seconds">Time of the forward passes.</param>
public sealed record LmScore(
    double Loss, long Characters, int Length, int Context, double? ShorteningFactor, double? PooledLength, BoundaryMatch? Match, double Seconds)
{
    /// <summary>Bits a character.</summary>
    public double BitsPerCharacter => Loss / Math.Log(2);
}

/// <summary>A row of <c>eval lm</c>.</summary>
/// <param name="Measure">What was measured.</param>
/// <param name="BitsPerCharacter">Bits a character.</param>
/// <param name="Loss">Nats a character.</param>
/// <param name="Characters">Characters scored.</param>
/// <param name="Length">Characters scored of a chunk.</param>
/// <param name="Context">Characters of context before them.</param>
/// <param name="ShorteningFactor">Characters a boundary.</param>
/// <param name="PooledLength">Mean rows of the pooled sequence.</param>
/// <param name="BoundaryPrecision">Share of predicted boundaries that are in the reference.</param>
/// <param name="BoundaryRecall">Share of the reference that was predicted.</param>
/// <param name="CharactersPerSecond">Speed of the forward passes.</param>
[CsvRecord]
public sealed partial record LmScoreRow(
    string Measure,
    double BitsPerCharacter,
    double Loss,
    long Characters,
    int Length,
    int Context,
    double? ShorteningFactor,
    double? PooledLength,
    double? BoundaryPrecision,
    double? BoundaryRecall,
    double CharactersPerSecond)
{
    /// <summary>The row of a score.</summary>
    public static LmScoreRow Of(string measure, LmScore score) => new(
        measure, score.BitsPerCharacter, score.Loss, score.Characters, score.Length, score.Context, score.ShorteningFactor, score.PooledLength,
        score.Match?.Precision, score.Match?.Recall, score.Characters / score.Seconds);
}

/// <summary>Measures a language model on a text, chunk by chunk in the text's order (docs/methods/dynamic-pooling.md, "Evaluation").</summary>
/// <param name="Length">Characters scored of a chunk.</param>
/// <param name="Total">Characters that a chunk reads at most: the scored ones and the context before them.</param>
/// <param name="Batch">Streams.</param>
/// <param name="MostChunks">Chunks after which it ends; null reads the whole text.</param>
public sealed record LmEvaluation(int Length, int Total, int Batch, int? MostChunks)
{
    private const long NoisePurpose = 605;

    /// <summary>Seed by which boundaries are drawn; null: not drawn, as it should be. Only for comparisons with upstream, which draws them.</summary>
    public long? DrawingSeed { get; init; }

    /// <summary>The processes that share the chunks; each has the text.</summary>
    public IProcessGroup Processes { get; init; } = SingleProcess.Instance;

    /// <summary>Makes the streams of a text.</summary>
    /// <exception cref="UserException">The lengths are impossible, or the text is too short.</exception>
    public TextStreams Streams(byte[] text, TextBoundaries? boundaries, string what) => Length >= 1 && Total >= Length
        ? new(text, Batch, Length, Total - Length, boundaries, what)
        : throw new UserException($"The evaluation reads {Total} characters to score {Length}: eval_tgt_len must be at least 1, and eval_total_len at least as much.");

    /// <summary>Measures.</summary>
    /// <param name="model">The model.</param>
    /// <param name="streams">The text, see <see cref="Streams"/>.</param>
    /// <param name="progress">Told of the chunks done.</param>
    /// <param name="cancellation">Stops between two chunks.</param>
    public LmScore Run(DynamicPoolingLm model, TextStreams streams, IWorkProgress progress, CancellationToken cancellation = default)
    {
        using var noGradient = torch.no_grad();
        var device = model.Weights["word_emb.weight"].device;
        var chunks = Math.Min(streams.Chunks, MostChunks ?? int.MaxValue);
        using var handle = progress.Start("evaluation", chunks, "chunks");
        var (sum, characters, positions, boundaries, rows, seconds) = (0.0, 0L, 0L, 0L, 0L, 0.0);
        BoundaryMatch? match = null;
        for (var index = 0; index < chunks; index += Processes.Size)
        {
            cancellation.ThrowIfCancellationRequested();

            // Chunk by chunk in the text's order, so that the sums are the same bits for any number of processes.
            var own = index + Processes.Rank < chunks ? Measure(index + Processes.Rank) : new double[10];
            foreach (var part in Processes.GatherNumbers(own))
            {
                sum += part[0];
                seconds += part[1];
                characters += (long)part[2];
                positions += (long)part[3];
                boundaries += (long)part[4];
                rows += (long)part[5];
                match = part[6] > 0 ? (match ?? BoundaryMatch.Empty).Plus(new((long)part[6], (long)part[7], (long)part[8], (long)part[9])) : match;
            }

            handle.Report(Math.Min(chunks, index + Processes.Size));
        }

        return new(
            sum / characters,
            characters,
            Length,
            Total - Length,
            boundaries == 0 ? null : (double)positions / boundaries,
            positions == 0 ? null : (double)rows / chunks,
            match,
            seconds / Processes.Size);

        double[] Measure(int index)
        {
            using var scope = torch.NewDisposeScope();
            var chunk = streams.Chunk(index);
            var started = Stopwatch.GetTimestamp();
            var output = model.Forward(new(chunk.Data.to(device))
            {
                Target = chunk.Target.to(device),
                Boundaries = chunk.Boundaries?.to(device),
                Noise = DrawingSeed is { } seed ? BoundaryNoise.Draw(seed + NoisePurpose, index, streams.Batch, chunk.Data.shape[0]).to(device) : null,
            });
            var loss = output.Loss!.to(torch.ScalarType.Float64).sum().item<double>();
            var time = Stopwatch.GetElapsedTime(started).TotalSeconds;
            var compared = output.Match() ?? BoundaryMatch.Empty;
            return
            [
                loss, time, output.Loss.NumberOfElements, output.Boundaries?.NumberOfElements ?? 0, output.Boundaries?.sum().item<long>() ?? 0,
                output.Boundaries is null ? 0 : output.PooledLength, compared.Positions, compared.Found, compared.Wanted, compared.Common,
            ];
        }
    }
}
