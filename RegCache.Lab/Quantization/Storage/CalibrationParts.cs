using System.Runtime.InteropServices;
using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization.Storage;

/// <summary>Scales, zero points and the like of one quantizer as they leave the process.</summary>
/// <param name="Name">The name, for example `block3.mlp.c_fc.input.scale`.</param>
/// <param name="Values">The values in the order of the memory.</param>
/// <param name="Shape">The shape.</param>
internal sealed record NamedValues(string Name, float[] Values, long[] Shape);

/// <summary>
/// A calibration, or a part of one, taken apart into named quantizers and the numbers that they are made of: what files hold
/// (<see cref="CalibrationFile"/>) and processes send each other (<see cref="CalibrationExchange"/>).
/// </summary>
internal sealed class CalibrationParts
{
    /// <summary>The name of the patch embedding.</summary>
    internal const string Patches = "conv1";

    private CalibrationParts()
    {
    }

    /// <summary>The operands of a block's two attention products, in the order of <see cref="AttentionProducts"/>.</summary>
    internal static IReadOnlyList<string> Operands { get; } = ["query", "key", "probabilities", "value"];

    /// <summary>The quantizers by name, for example `block3.mlp.c_fc.input`.</summary>
    public SortedDictionary<string, QuantizerRecord> Quantizers { get; } = new(StringComparer.Ordinal);

    /// <summary>Their numbers, in the order of the encoder.</summary>
    public List<NamedValues> Tensors { get; } = [];

    /// <summary>Takes a calibration apart.</summary>
    /// <param name="patches">The patch embedding; null leaves it out.</param>
    /// <param name="blocks">The blocks; those that are null are left out.</param>
    public static CalibrationParts Of(CalibratedPatches? patches, IReadOnlyList<CalibratedBlock?> blocks)
    {
        var parts = new CalibrationParts();
        parts.Add($"{Patches}.input", patches?.Input);
        parts.Add($"{Patches}.weight", patches?.Weight);
        foreach (var (index, block) in blocks.Index())
        {
            if (block is not null)
            {
                parts.Add($"block{index}", block);
            }
        }

        return parts;
    }

    private void Add(string name, CalibratedBlock block)
    {
        foreach (var (kind, linear) in block.Linears)
        {
            var layer = $"{name}.{kind.Name()}";
            Add($"{layer}.input", linear.Input);
            Add($"{layer}.weight", linear.Weight);
            if (linear.Reparameterization is { } moved)
            {
                Add($"{layer}.ratio", moved.Ratio);
                Add($"{layer}.offset", moved.Offset);
            }
        }

        if (block.Attention is { } attention)
        {
            ITensorQuantizer[] quantizers = [attention.Query, attention.Key, attention.Probabilities, attention.Value];
            foreach (var (operand, quantizer) in Operands.Zip(quantizers))
            {
                Add($"{name}.attn.{operand}", quantizer);
            }
        }
    }

    private void Add(string name, ITensorQuantizer? quantizer)
    {
        if (quantizer is not null)
        {
            Quantizers[name] = QuantizerRecord.Of(quantizer, (role, tensor) => Add($"{name}.{role}", tensor));
        }
    }

    private void Add(string name, Tensor tensor)
    {
        using var scope = torch.NewDisposeScope();
        Tensors.Add(new(name, MemoryMarshal.Cast<byte, float>(tensor.cpu().contiguous().bytes).ToArray(), tensor.shape));
    }
}

/// <summary>Puts together what <see cref="CalibrationParts"/> took apart.</summary>
/// <param name="source">Where the parts come from, for messages.</param>
/// <param name="quantizers">The quantizers by name.</param>
/// <param name="tensor">Gives the tensor of a name, out of every dispose scope; null where there is none.</param>
internal sealed class CalibrationReader(string source, IReadOnlyDictionary<string, QuantizerRecord> quantizers, Func<string, Tensor?> tensor)
{
    /// <summary>The patch embedding; null if it stays float.</summary>
    /// <exception cref="UserException">A part is damaged.</exception>
    public CalibratedPatches? Patches() => Quantizer($"{CalibrationParts.Patches}.weight") is { } weight
        ? new(Quantizer($"{CalibrationParts.Patches}.input"), Grid(weight, CalibrationParts.Patches))
        : null;

    /// <summary>The blocks.</summary>
    /// <param name="count">How many there are.</param>
    /// <exception cref="UserException">A part is damaged.</exception>
    public IReadOnlyList<CalibratedBlock> Blocks(int count) => [.. Enumerable.Range(0, count).Select(Block)];

    private CalibratedBlock Block(int block)
    {
        var linears = new Dictionary<LinearKind, CalibratedLinear>();
        foreach (var kind in LinearKinds.All)
        {
            var name = $"block{block}.{kind.Name()}";
            if (Quantizer($"{name}.input") is { } input)
            {
                linears[kind] = new(input, Grid(Quantizer($"{name}.weight"), name))
                {
                    Reparameterization = tensor($"{name}.ratio") is { } ratio && tensor($"{name}.offset") is { } offset ? new(ratio, offset) : null,
                };
            }
        }

        var parts = CalibrationParts.Operands.Select(operand => Quantizer($"block{block}.attn.{operand}")).OfType<ITensorQuantizer>().ToArray();
        return new(linears, parts.Length == CalibrationParts.Operands.Count ? new(parts[0], parts[1], parts[2], parts[3]) : null);
    }

    private ITensorQuantizer? Quantizer(string name)
    {
        try
        {
            return quantizers.TryGetValue(name, out var record) ? record.Read(role => tensor($"{name}.{role}")) : null;
        }
        catch (UserException exception)
        {
            throw new UserException($"{source}: `{name}` is damaged ({exception.Message}); calibrate again.", exception);
        }
    }

    private UniformQuantizer Grid(ITensorQuantizer? quantizer, string name) => quantizer as UniformQuantizer
        ?? throw new UserException($"{source}: the weights of `{name}` have no grid; calibrate again.");
}
