using System.Text;
using RegCache.Lab.Encoders;

namespace RegCache.Lab.Quantization.Integer;

/// <summary>How quantized layers are carried out.</summary>
public enum ExecutionMode
{
    /// <summary>Values are replaced by those that the integers represent; products run in float.</summary>
    Simulated,

    /// <summary>Products run in 8-bit integers, where a layer's values allow it.</summary>
    Integer,
}

/// <summary>
/// Runs linear layers on oneDNN with weights packed once: float and bfloat16 layers, and quantized layers in integers if
/// asked. Layers whose values are not those of 8-bit integers stay simulated, with their float products on oneDNN.
/// </summary>
/// <param name="mode">How quantized layers run.</param>
public sealed class OneDnnBackend(ExecutionMode mode) : IBackend
{
    private readonly HashSet<string> _integer = [], _simulated = [];
    private readonly SortedSet<int> _memories = [];

    /// <summary>How quantized layers run.</summary>
    public ExecutionMode Mode { get; } = mode;

    /// <summary>Names of the quantized layers that ran in integers so far.</summary>
    public IReadOnlyCollection<string> IntegerLayers => _integer;

    /// <summary>Names of the quantized layers that had to be simulated so far, at least once.</summary>
    public IReadOnlyCollection<string> SimulatedLayers => _simulated;

    /// <inheritdoc />
    public BlockLayers Prepare(int block, BlockLayers layers)
    {
        if (layers.Mlp is not FeedForward)
        {
            _memories.Add(block);
        }

        return LinearKinds.All.Aggregate(layers, (current, kind) => current.With(kind, linear => Prepare(linear, kind.FullName(block))));
    }

    /// <inheritdoc />
    public PatchEmbedding Prepare(PatchEmbedding patches)
    {
        using var flat = patches.Weight.flatten(1);
        return Packed(new Linear(flat, patches.Bias), "visual.conv1") is PackedLinear product ? patches with { Product = product } : patches;
    }

    /// <summary>Says how many of the quantized layers ran in integers, and what ran on tensor operators; null when there is nothing to say.</summary>
    public string? Describe()
    {
        var names = _integer.Union(_simulated).ToHashSet();
        var simulated = _simulated.Select(name => string.Join('.', name.Split('.').TakeLast(2))).Distinct().Order();
        string[] clauses =
        [
            .. names.Count == 0 ? [] : new[]
            {
                $"{names.Count - _simulated.Count} of {names.Count} quantized linear layers ran in integers ({OneDnn.Support.Description})",
            },
            .. _simulated.Count == 0 ? [] : new[] { $"simulated: {string.Join(", ", simulated)}" },
            .. _memories.Count == 0 ? [] : new[] { $"the memory in block {string.Join(", ", _memories)} reads its table by tensor operators" },
        ];
        return clauses.Length == 0 ? null : string.Join("; ", clauses);
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

        return linear switch
        {
            Linear plain => Packed(plain, name),
            IComposedLinear composed => Packed(composed.Join(), name),
            _ => linear,
        };
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

/// <summary>What the kernels on oneDNN (Native/) can do on this machine.</summary>
public static unsafe class OneDnn
{
    private const int TextLength = 512;

    private static readonly Lazy<OneDnnSupport> _support = new(Ask);

    /// <summary>What there is; asked once.</summary>
    public static OneDnnSupport Support => _support.Value;

    private static OneDnnSupport Ask()
    {
        // libtorch comes first: its loader settles how OpenMP's threads wait.
        _ = torch.get_num_threads();
        try
        {
            return new(
                Text((text, capacity) => Native.rc_describe((byte*)text, capacity)),
                Problem(Factors.Float),
                Problem(Factors.Bfloat),
                Problem(Factors.Bytes));
        }
        catch (Exception error) when (error is DllNotFoundException or EntryPointNotFoundException or BadImageFormatException)
        {
            const string Missing = "the kernels on oneDNN are not built: install libdnnl-dev and g++ and build again (./lab setup)";
            return new(null, Missing, Missing, Missing);
        }
    }

    private static string? Problem(Factors factors) =>
        Text((text, capacity) => Native.rc_problem(factors, (byte*)text, capacity)) is { Length: > 0 } problem ? problem : null;

    private static string Text(Func<nint, int, int> write)
    {
        var buffer = stackalloc byte[TextLength];
        return write((nint)buffer, TextLength) == Native.Succeeded
            ? Encoding.UTF8.GetString(System.Runtime.InteropServices.MemoryMarshal.CreateReadOnlySpanFromNullTerminated(buffer))
            : Native.LastError;
    }
}

/// <summary>What the kernels on oneDNN can do on this machine.</summary>
/// <param name="Description">Version and instruction set; null where the kernels are missing.</param>
/// <param name="FloatProblem">What speaks against float32 products; null for nothing.</param>
/// <param name="BfloatProblem">What speaks against bfloat16 products; null for nothing.</param>
/// <param name="IntegerProblem">What speaks against products of 8-bit integers; null for nothing.</param>
public sealed record OneDnnSupport(string? Description, string? FloatProblem, string? BfloatProblem, string? IntegerProblem);
