using RegCache.Lab.Encoders;

namespace RegCache.Lab.Merging;

/// <summary>
/// Begins to note which tokens each token is made of: from here on the stream carries sources [B,N,N0], at first the
/// identity (token-merging.md, section 3).
/// </summary>
public sealed record TrackSources : ITokenStage
{
    /// <inheritdoc />
    public TokenBatch Apply(TokenBatch batch, StageContext context) => batch.Sources is not null
        ? batch
        : batch with { Sources = torch.eye(batch.Length, device: batch.Tokens.device).expand(batch.Images, -1, -1) };
}
