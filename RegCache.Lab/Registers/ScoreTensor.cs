namespace RegCache.Lab.Registers;

/// <summary>The activation whose largest entry makes a token a register candidate (regcache.md, OPEN-5).</summary>
public enum ScoreTensor
{
    /// <summary>The residual stream that enters the block.</summary>
    BlockInput,

    /// <summary>The input of the block's second MLP layer.</summary>
    MlpHidden,
}
