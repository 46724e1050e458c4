namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>
/// HuggingFace's names of CLIP's tensors (clip.md, section 9.4). Its projections are transposed and its query, key and
/// value matrices are separate; both are handled as views, without copying.
/// </summary>
public static class HuggingFaceNames
{
    private static readonly string[] Projections = ["q_proj", "k_proj", "v_proj"];

    // The misspelling of "layernorm" is HuggingFace's.
    private static readonly (string HuggingFace, string OpenClip)[] Table =
    [
        ("text_model.embeddings.token_embedding.weight", "token_embedding.weight"),
        ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
        ("text_model.final_layer_norm.", "ln_final."),
        ("text_model.encoder.layers.", "transformer.resblocks."),
        ("vision_model.embeddings.class_embedding", "visual.class_embedding"),
        ("vision_model.embeddings.patch_embedding.weight", "visual.conv1.weight"),
        ("vision_model.embeddings.position_embedding.weight", "visual.positional_embedding"),
        ("vision_model.pre_layrnorm.", "visual.ln_pre."),
        ("vision_model.post_layernorm.", "visual.ln_post."),
        ("vision_model.encoder.layers.", "visual.transformer.resblocks."),
        ("text_projection.weight", "text_projection"),
        ("visual_projection.weight", "visual.proj"),
    ];

    private static readonly (string HuggingFace, string OpenClip)[] BlockTable =
    [
        (".layer_norm1.", ".ln_1."),
        (".layer_norm2.", ".ln_2."),
        (".self_attn.out_proj.", ".attn.out_proj."),
        (".mlp.fc1.", ".mlp.c_fc."),
        (".mlp.fc2.", ".mlp.c_proj."),
    ];

    /// <summary>Whether tensors have HuggingFace's names.</summary>
    public static bool Recognises(StateDict state)
    {
        ArgumentNullException.ThrowIfNull(state);
        return state.Tensors.Any(entry =>
            entry.Name.StartsWith("vision_model.", StringComparison.Ordinal) || entry.Name.StartsWith("text_model.", StringComparison.Ordinal));
    }

    /// <summary>The tensors under OpenCLIP's names; names that CLIP does not have are kept.</summary>
    /// <exception cref="UserException">A query, key or value matrix lacks its companions.</exception>
    public static StateDict ToOpenClip(StateDict state)
    {
        ArgumentNullException.ThrowIfNull(state);
        return state.Select(entry => ConvertEntry(state, entry));
    }

    /// <summary>The tensors of an OpenCLIP model (not in the custom text layout) under HuggingFace's names.</summary>
    public static StateDict FromOpenClip(StateDict state)
    {
        ArgumentNullException.ThrowIfNull(state);
        return new StateDict(state.Source, state.Tensors.SelectMany(ConvertBack));
    }

    private static WeightEntry? ConvertEntry(StateDict state, WeightEntry entry)
    {
        var name = entry.Name;
        var dot = name.LastIndexOf(".self_attn.", StringComparison.Ordinal);
        var projection = Array.FindIndex(Projections, part => name.Contains($".self_attn.{part}.", StringComparison.Ordinal));
        if (projection > 0 && state.Contains(name.Replace(Projections[projection], Projections[0], StringComparison.Ordinal)))
        {
            // It becomes rows of the fused matrix, which takes the place of the query matrix.
            return null;
        }

        if (projection >= 0)
        {
            var kind = name[(name.LastIndexOf('.') + 1)..];
            var parts = Array.ConvertAll(Projections, part => state[$"{name[..dot]}.self_attn.{part}.{kind}"]);
            return Fuse(state.Source, $"{ToOpenClip(name[..dot] + ".")}attn.in_proj_{kind}", parts);
        }

        var converted = ToOpenClip(name);
        return name is "text_projection.weight" or "visual_projection.weight" && entry.Shape.Count == 2
            ? entry.Transpose().Rename(converted)
            : entry.Rename(converted);
    }

    private static WeightEntry Fuse(string source, string name, WeightEntry[] parts)
    {
        try
        {
            return WeightEntry.Concatenate(name, parts);
        }
        catch (ArgumentException exception)
        {
            throw new UserException($"{source}: the query, key and value of {name} do not fit together: {exception.Message}", exception);
        }
    }

    private static string ToOpenClip(string name)
    {
        foreach (var (from, to) in Table)
        {
            if (name.StartsWith(from, StringComparison.Ordinal))
            {
                name = to + name[from.Length..];
                return BlockTable.Aggregate(name, (text, pair) => text.Replace(pair.HuggingFace, pair.OpenClip, StringComparison.Ordinal));
            }
        }

        return name;
    }

    private static IEnumerable<WeightEntry> ConvertBack(WeightEntry entry)
    {
        var name = entry.Name;
        if (name.LastIndexOf(".attn.in_proj_", StringComparison.Ordinal) is >= 0 and var dot)
        {
            var kind = name[(dot + ".attn.in_proj_".Length)..];
            var rows = entry.Shape[0] / Projections.Length;
            return Projections.Select((part, index) =>
                entry.Rows(index * rows, rows).Rename($"{FromOpenClip(name[..dot] + ".")}self_attn.{part}.{kind}"));
        }

        return [(name is "text_projection" or "visual.proj" ? entry.Transpose() : entry).Rename(FromOpenClip(name))];
    }

    private static string FromOpenClip(string name)
    {
        foreach (var (to, from) in Table)
        {
            if (name.StartsWith(from, StringComparison.Ordinal))
            {
                name = to + name[from.Length..];
                return BlockTable.Aggregate(name, (text, pair) => text.Replace(pair.OpenClip, pair.HuggingFace, StringComparison.Ordinal));
            }
        }

        return name;
    }
}
