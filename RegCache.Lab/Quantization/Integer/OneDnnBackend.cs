using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization.Integer;

/// <summary>
/// Runs linear layers on oneDNN with weights packed once: float and bfloat16 layers, and quantized layers in integers if
/// asked. Layers whose values are not those of 8-bit integers stay simulated, with their float products on oneDNN.
/// </summary>
/// <param name="mode">How quantized layers run.</param>
public sealed class OneDnnBackend(ExecutionMode mode) : IBackend
{
    private readonly HashSet<string> _integer = [], _simulated = [];

    /// <summary>How quantized layers run.</summary>
    public ExecutionMode Mode { get; } = mode;

    /// <summary>Names of the quantized layers that ran in integers so far.</summary>
    public IReadOnlyCollection<string> IntegerLayers => _integer;

    /// <summary>Names of the quantized layers that had to be simulated so far, at least once.</summary>
    public IReadOnlyCollection<string> SimulatedLayers => _simulated;

    /// <inheritdoc />
    public BlockLayers Prepare(int block, BlockLayers layers) => LinearKinds.All.Aggregate(
        layers, (current, kind) => current.With(kind, linear => Prepare(linear, kind.FullName(block))));

    /// <inheritdoc />
    public PatchEmbedding Prepare(PatchEmbedding patches)
    {
        using var flat = patches.Weight.flatten(1);
        return Packed(new Linear(flat, patches.Bias), "visual.conv1") is PackedLinear product ? patches with { Product = product } : patches;
    }

    /// <summary>Says how many of the quantized layers ran in integers; null when none has run.</summary>
    public string? Describe()
    {
        var names = _integer.Union(_simulated).ToHashSet();
        if (names.Count == 0)
        {
            return null;
        }

        var simulated = _simulated.Select(name => string.Join('.', name.Split('.').TakeLast(2))).Distinct().Order();
        return $"{names.Count - _simulated.Count} of {names.Count} quantized linear layers ran in integers ({OneDnn.Support.Description})"
            + (_simulated.Count == 0 ? "" : $"; simulated: {string.Join(", ", simulated)}");
    }

    private ILinear Prepare(ILinear linear, string name)
    {
        if (linear is QuantizedLinear quantized)
        {
            if (Mode != ExecutionMode.Integer || IntegerLinear.TryCreate(quantized, name) is not { } integer)
            {
                return Simulated(quantized, name);
            }

            _integer.Add(name);
            // The dequantized weights were made for this layer and are four times as large as the packed ones.
            quantized.Weight.Dispose();
            return integer;
        }

        return linear is Linear plain ? Packed(plain, name) : linear;
    }

    private QuantizedLinear Simulated(QuantizedLinear quantized, string name)
    {
        if (Mode == ExecutionMode.Integer)
        {
            _simulated.Add(name);
        }

        if (quantized.Product is not Linear plain || Packed(plain, name) is not PackedLinear packed)
        {
            return quantized;
        }

        plain.Weight.Dispose();
        return quantized with { Product = packed };
    }

    private static ILinear Packed(Linear plain, string name)
    {
        var problem = plain.Weight.dtype switch
        {
            torch.ScalarType.Float32 => OneDnn.Support.FloatProblem,
            torch.ScalarType.BFloat16 => OneDnn.Support.BfloatProblem,
            _ => "not a number type of packed products",
        };
        return problem is null && plain.Weight.device_type == DeviceType.CPU ? new PackedLinear(name, plain) : plain;
    }
}
