using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Placement;

/// <summary>Which special tokens' attention is wanted.</summary>
public enum WantedTokens
{
    /// <summary>That of the class token and of every register.</summary>
    Both,

    /// <summary>That of the class token.</summary>
    Class,

    /// <summary>That of every register.</summary>
    Registers,
}

/// <summary>
/// Where one special token looks in one layer: its row of each head's attention matrix, cut to the patches and not rescaled, so that a map
/// sums to less than one (docs/methods/late-tokens.md, "Attention maps").
/// </summary>
/// <param name="Role">The class token, or a register.</param>
/// <param name="Number">The register's number from 1; 0 for the class token.</param>
/// <param name="EntryBlock">The block before which the token entered.</param>
/// <param name="Heads">For each head the attention to every patch, row-major.</param>
public sealed record TokenMaps(TokenRole Role, int Number, int EntryBlock, IReadOnlyList<IReadOnlyList<float>> Heads)
{
    /// <summary>The token in words: "Class token", "Register 2".</summary>
    public string Name => Role == TokenRole.Class ? "Class token" : $"Register {Number}";

    /// <summary>The mean over heads.</summary>
    public IReadOnlyList<float> Mean => [.. Enumerable.Range(0, Heads[0].Count).Select(patch => Heads.Average(head => head[patch]))];

    /// <summary>Refuses tokens that are not there while a layer runs.</summary>
    /// <param name="config">The classifier's shapes and places.</param>
    /// <param name="layer">The layer, 0-based.</param>
    /// <param name="wanted">The tokens.</param>
    /// <exception cref="UserException">There is no such layer, the model has no registers, or a token enters after the layer.</exception>
    public static void Require(PlacementConfig config, int layer, WantedTokens wanted)
    {
        ArgumentNullException.ThrowIfNull(config);
        if (layer < 0 || layer >= config.Depth)
        {
            throw new UserException($"There is no layer {layer}: the model has layers 0 to {config.Depth - 1}.");
        }

        var (registers, classes) = (wanted != WantedTokens.Class, wanted != WantedTokens.Registers);
        if (registers && config.Registers == 0)
        {
            throw new UserException("The model has no register tokens to draw; ask for the class token alone (--tokens cls).");
        }

        if (registers && layer < config.RegisterBlock)
        {
            throw new UserException($"In layer {layer} there are no registers: they enter before block {config.RegisterBlock} (reg_pos); choose a later layer.");
        }

        if (classes && layer < config.ClassBlock)
        {
            throw new UserException($"In layer {layer} there is no class token: it enters before block {config.ClassBlock} (cls_pos); choose a later layer.");
        }
    }

    /// <summary>Runs the blocks up to a layer and takes the wanted rows of its attention.</summary>
    /// <param name="model">The classifier.</param>
    /// <param name="image">A normalised image [1,3,H,W].</param>
    /// <param name="layer">The layer, 0-based.</param>
    /// <param name="wanted">The tokens.</param>
    /// <returns>The class token first, then the registers in order.</returns>
    /// <exception cref="UserException">See <see cref="Require"/>; or the image is not of the model's size.</exception>
    public static IReadOnlyList<TokenMaps> Measure(DynamicVit model, Tensor image, int layer, WantedTokens wanted = WantedTokens.Both)
    {
        ArgumentNullException.ThrowIfNull(model);
        var config = model.Config;
        Require(config, layer, wanted);
        using var scope = torch.NewDisposeScope();
        var attention = Activations.Of(model.Tower, image, layer, ActivationKind.AttentionProbabilities);
        var layout = model.Tower.LayoutIn(layer);
        var patches = attention[0].narrow(2, layout.ProtectedTokens, config.Patches);
        IReadOnlyList<IReadOnlyList<float>> Row(long token) =>
            [.. patches.select(1, token).contiguous().data<float>().ToArray().Chunk(config.Patches)];

        return
        [
            .. wanted != WantedTokens.Registers ? [new TokenMaps(TokenRole.Class, 0, config.ClassBlock, Row(0))] : (TokenMaps[])[],
            .. wanted != WantedTokens.Class
                ? Enumerable.Range(0, config.Registers)
                    .Select(register => new TokenMaps(TokenRole.Register, register + 1, config.RegisterBlock, Row(layout.ClassTokens + register)))
                : [],
        ];
    }
}
