using System.Globalization;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Encoders.Text;

namespace RegCache.Lab.Pooling.Towers;

/// <summary>Models that pool, made of those that do not.</summary>
public static class PooledModels
{
    /// <summary>A copy of a model with pooling: its tensors, and fresh ones for what pools. The model keeps its own.</summary>
    /// <param name="model">The model.</param>
    /// <param name="config">Its architecture with pooling.</param>
    /// <param name="draw">Draws all weights of an architecture.</param>
    /// <exception cref="UserException">The architecture has other blocks than the model.</exception>
    public static ClipModel Of(ClipModel model, ClipConfig config, Func<ClipConfig, WeightTable> draw)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(config);
        if (config.Vision.Pooling is { Entry: { IsClip: false } entry })
        {
            throw new UserException($"{model.Weights.Source} has CLIP's own blocks, which the tower '{entry.Name}' has not: train that from random weights, or pool these with the tower 'vit'.");
        }

        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        using var drawn = draw(config);
        var device = model.ImageTower.Placement.Device;
        return new(config, new($"{model.Weights.Source} with pooling", ClipParameters.Of(config).Select(parameter => KeyValuePair.Create(
            parameter.Name, model.Weights.Contains(parameter.Name) ? model.Weights[parameter.Name].detach().clone() : drawn[parameter.Name].to(device, copy: true)))));
    }

    /// <summary>Notes which ids end a word in the table of a text tower that pools by words.</summary>
    public static void FillWordEnds(ClipConfig config, WeightTable weights, ITokenizer tokenizer)
    {
        if (weights.Names.FirstOrDefault(TextPooler.IsTable) is { } name)
        {
            using var noGradient = torch.no_grad();
            using var scope = torch.NewDisposeScope();
            weights[name].copy_(torch.tensor([.. Enumerable.Range(0, config.Text!.VocabSize).Select(id => tokenizer.EndsWord(id) ? 1f : 0f)]));
        }
    }
}

/// <summary>Stacks of blocks between which a tower pools.</summary>
internal static class PoolingStacks
{
    /// <summary>Reads a comma list of numbers of blocks, such as 4,8.</summary>
    /// <exception cref="UserException">It is none.</exception>
    public static ValueList<int> Parse(string text, string name)
    {
        int[] blocks = [.. text.Split(',', StringSplitOptions.TrimEntries).Select(part => int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var count) ? count : -1)];
        return blocks.Min() >= 0 ? [.. blocks] : throw new UserException($"{name} must be numbers of blocks such as 4,8, not '{text}'.");
    }

    /// <summary>Stacks in the proportion of others, for a tower of another depth; each has one block at least where there are enough.</summary>
    /// <param name="stacks">The others.</param>
    /// <param name="depth">Blocks of the tower.</param>
    public static ValueList<int> Scaled(ValueList<int> stacks, int depth)
    {
        var whole = stacks.Sum();
        if (whole == depth || depth < stacks.Count)
        {
            return stacks;
        }

        // Every stack ends where it would in the proportion; the rounding moves none onto another.
        var ends = Enumerable.Range(1, stacks.Count).Select(count => (int)Math.Round((double)depth * stacks.Take(count).Sum() / whole)).ToArray();
        var result = new int[stacks.Count];
        for (int stack = 0, start = 0; stack < result.Length; start += result[stack++])
        {
            result[stack] = Math.Clamp(ends[stack] - start, 1, depth - start - (result.Length - stack - 1));
        }

        return [.. result];
    }
}
