using RegCache.Lab.Encoders;

namespace RegCache.Lab.Placement;

/// <summary>
/// The class token of a trained encoder, held back: the first blocks run without it, and it enters before a later one as it left the
/// embedding, with its position and `ln_pre`. A model that was not trained so loses what the class token gathers in the blocks that it
/// misses; one that was has its entry in its architecture (<see cref="LateTokens"/>).
/// </summary>
public sealed class HeldBackClassToken
{
    private readonly EnterTokens _entry;

    /// <summary>Finds the row that enters.</summary>
    /// <param name="tower">The trained encoder.</param>
    /// <exception cref="UserException">No class token leaves its embedding.</exception>
    public HeldBackClassToken(VisionTower tower)
    {
        ArgumentNullException.ThrowIfNull(tower);
        if (tower.Config.EmbeddedTokens == 0)
        {
            throw new UserException("A class token cannot be held back in a model whose embedding has none; leave late tokens out for it.");
        }

        _entry = new(TokenRole.Class, TensorScope.Run(() =>
        {
            using var noGradient = torch.no_grad();
            var (device, type) = tower.Placement;
            var (height, width) = tower.Config.ImageSize;

            // The row is the same for every image.
            var stream = tower.Embed(torch.zeros([1, tower.Config.Channels, height, width], dtype: type, device: device));
            return stream.Tokens[0].narrow(0, 0, stream.Layout.ClassTokens).clone();
        }));
    }

    /// <summary>Adds the removal and the entry to a plan.</summary>
    /// <param name="plan">The plan.</param>
    /// <param name="block">The class token enters before this block, 1 or later.</param>
    /// <exception cref="UserException">There is no such block.</exception>
    public EncoderPlan ApplyTo(EncoderPlan plan, int block)
    {
        ArgumentNullException.ThrowIfNull(plan);
        var last = plan.Blocks.Count - 1;
        return block >= 1 && block <= last
            ? plan
                .With(0, first => first with { Before = [new RemoveClassTokens(), .. first.Before] })
                .With(block, entered => entered with { Before = [.. entered.Before, _entry] })
            : throw new UserException($"A held-back class token cannot enter before block {block} of a model of {last + 1} blocks; choose 1 to {last}.");
    }
}

/// <summary>Takes the class tokens out of the stream that leaves the embedding, before anything is known of its tokens.</summary>
public sealed record RemoveClassTokens : ITokenStage
{
    /// <inheritdoc />
    public TokenBatch Apply(TokenBatch batch, StageContext context)
    {
        ArgumentNullException.ThrowIfNull(batch);
        if ((batch.Sizes ?? batch.Sources ?? batch.Positions) is not null)
        {
            throw new InvalidOperationException("Class tokens are removed before any other stage acts.");
        }

        var count = batch.Layout.ClassTokens;
        return batch with { Tokens = batch.Tokens.narrow(1, count, batch.Length - count), Layout = batch.Layout with { ClassTokens = 0 } };
    }
}
