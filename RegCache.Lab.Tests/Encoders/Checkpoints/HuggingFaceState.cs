using RegCache.Lab.Encoders.Checkpoints;

namespace RegCache.Lab.Tests.Encoders.Checkpoints;

/// <summary>Tensors of a CLIP model as HuggingFace names, splits and transposes them.</summary>
internal static class HuggingFaceState
{
    private const string Fused = ".attn.in_proj_";

    /// <summary>The tensors of an OpenCLIP model, not in the custom text layout, under HuggingFace's names.</summary>
    public static List<WeightEntry> FromOpenClip(StateDict state) => [.. state.Tensors.SelectMany(Convert)];

    private static IEnumerable<WeightEntry> Convert(WeightEntry entry)
    {
        var name = entry.Name;
        if (name.LastIndexOf(Fused, StringComparison.Ordinal) is >= 0 and var dot)
        {
            var kind = name[(dot + Fused.Length)..];
            var parts = entry.ToTensor().chunk(HuggingFaceNames.Projections.Length);
            return HuggingFaceNames.Projections.Zip(parts, (part, rows) =>
                WeightEntry.FromTensor($"{Rename(name[..dot] + ".")}self_attn.{part}.{kind}", rows));
        }

        return [(name is "text_projection" or "visual.proj" ? entry.Transpose() : entry).Rename(Rename(name))];
    }

    private static string Rename(string name)
    {
        var (to, from) = HuggingFaceNames.Table.FirstOrDefault(pair => name.StartsWith(pair.OpenClip, StringComparison.Ordinal), (HuggingFace: "", OpenClip: ""));
        return HuggingFaceNames.BlockTable.Aggregate(
            to + name[from.Length..], (text, pair) => text.Replace(pair.OpenClip, pair.HuggingFace, StringComparison.Ordinal));
    }
}
