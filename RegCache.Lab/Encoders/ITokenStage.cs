namespace RegCache.Lab.Encoders;

/// <summary>
/// Seams 1 and 2: acts on the token stream between two blocks, or inside a block between attention and MLP. Inserts,
/// deletes, merges or pools tokens. Stages are records: two stages that do the same compare equal, so that plans that
/// agree share the computation.
/// </summary>
public interface ITokenStage
{
    /// <summary>Returns the token stream that goes on.</summary>
    /// <param name="batch">The stream that arrives, tokens [B,N,C].</param>
    /// <param name="context">What the block computed so far; its attention is absent between blocks.</param>
    TokenBatch Apply(TokenBatch batch, StageContext context);

    /// <summary>Multiply-accumulates that deciding costs per image; accounts list them apart from the model's own.</summary>
    /// <param name="batch">The stream that arrives; only shapes and layout count.</param>
    /// <param name="context">What the block computed so far; only shapes count.</param>
    long Macs(TokenBatch batch, StageContext context) => 0;
}
