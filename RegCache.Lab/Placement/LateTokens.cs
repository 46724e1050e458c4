using RegCache.Lab.Encoders;

namespace RegCache.Lab.Placement;

/// <summary>
/// Where the class, distillation and register tokens of a ViT enter: each kind just before a block of its own, as raw learned vectors
/// without position (docs/methods/late-tokens.md, "Entry"). Blocks before that run without it.
/// </summary>
/// <param name="ClassBlock">The class token enters before this block, 0-based (<c>cls_pos</c>).</param>
/// <param name="Registers">Number of register tokens R.</param>
/// <param name="RegisterBlock">They enter before this block (<c>reg_pos</c>); it says nothing where there are none.</param>
/// <param name="DistillationBlock">The distillation token enters before this block (<c>dist_pos</c>); null for a model without one.</param>
public sealed record LateTokens(int ClassBlock, int Registers, int RegisterBlock, int? DistillationBlock = null)
{
    /// <summary>The stages that let tokens enter before a block.</summary>
    /// <param name="block">The block, 0-based.</param>
    /// <param name="classRow">The class token [1,C] or [1,1,C].</param>
    /// <param name="registerRows">The register tokens [R,C] or [1,R,C]; null where there are none.</param>
    /// <param name="distillationRow">The distillation token, as the class token; null where there is none.</param>
    public ValueList<ITokenStage> Before(int block, Tensor classRow, Tensor? registerRows, Tensor? distillationRow) =>
    [
        .. Registers > 0 && RegisterBlock == block ? [new EnterTokens(TokenRole.Register, registerRows!)] : (ITokenStage[])[],
        .. DistillationBlock == block ? [new EnterTokens(TokenRole.Distillation, distillationRow!)] : (ITokenStage[])[],
        .. ClassBlock == block ? [new EnterTokens(TokenRole.Class, classRow)] : (ITokenStage[])[],
    ];

    /// <summary>The same with tokens that are made for it: for accounts, which look at numbers of tokens only.</summary>
    /// <param name="block">The block, 0-based.</param>
    /// <param name="make">Makes that many tokens [R,C].</param>
    internal ValueList<ITokenStage> Before(int block, Func<int, Tensor> make) => Before(block, make(1), make(Registers), make(1));

    /// <summary>One clause for results and logs.</summary>
    public string Describe() =>
        $"class token from block {ClassBlock}"
        + (Registers > 0 ? $", {Registers} registers from block {RegisterBlock}" : ", no registers")
        + (DistillationBlock is { } block ? $", distillation token from block {block}" : "");
}

/// <summary>What a token is for that is no patch.</summary>
public enum TokenRole
{
    /// <summary>The classifier reads it.</summary>
    Class,

    /// <summary>A second classifier reads it, which learns from a teacher; it stands behind the class token.</summary>
    Distillation,

    /// <summary>Nobody reads it.</summary>
    Register,
}

/// <summary>
/// Lets tokens enter the stream. The layout stays [class][distillation][registers][patches], so the result does not depend on the order in
/// which several kinds enter before one block.
/// </summary>
/// <param name="Role">What they are for. A distillation token is taken to be the last of the layout's class tokens.</param>
/// <param name="Rows">The tokens [R,C] or [1,R,C], the same for every image. Stages with the same tensor are equal.</param>
public sealed record EnterTokens(TokenRole Role, Tensor Rows) : ITokenStage
{
    /// <inheritdoc />
    public TokenBatch Apply(TokenBatch batch, StageContext context)
    {
        var (layout, count) = (batch.Layout, (int)Rows.shape[^2]);
        return Role == TokenRole.Register
            ? batch.Insert(layout.ProtectedTokens, Rows, layout with { RegisterTokens = layout.RegisterTokens + count })
            : batch.Insert(Role == TokenRole.Class ? 0 : layout.ClassTokens, Rows, layout with { ClassTokens = layout.ClassTokens + count });
    }

    /// <inheritdoc />
    public bool Equals(EnterTokens? other) => other is not null && Role == other.Role && ReferenceEquals(Rows, other.Rows);

    /// <inheritdoc />
    public override int GetHashCode() => HashCode.Combine(Role, System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(Rows));
}
