using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Json;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Quantization.Storage;

/// <summary>Saves and loads calibrated quantizers: a safetensors file with all scales and a JSON file that says what they are.</summary>
public static class CalibrationFile
{
    private const string Patches = "conv1";
    private static readonly string[] _operands = ["query", "key", "probabilities", "value"];

    /// <summary>Writes `PATH.safetensors` and `PATH.json`.</summary>
    /// <param name="path">The path without extension.</param>
    /// <param name="quantizer">The quantizer.</param>
    /// <exception cref="UserException">A file cannot be written.</exception>
    public static void Save(string path, CalibratedQuantizer quantizer)
    {
        var tensors = new List<WeightEntry>();
        var records = new SortedDictionary<string, QuantizerRecord>(StringComparer.Ordinal);
        void Keep(string name, Tensor tensor)
        {
            using var scope = torch.NewDisposeScope();
            var values = MemoryMarshal.Cast<byte, float>(tensor.cpu().contiguous().bytes);
            tensors.Add(WeightEntry.FromValues<float>(name, values, tensor.shape));
        }

        void Write(string name, ITensorQuantizer? part)
        {
            if (part is not null)
            {
                records[name] = QuantizerRecord.Of(part, (role, tensor) => Keep($"{name}.{role}", tensor));
            }
        }

        Write($"{Patches}.input", quantizer.Patches?.Input);
        Write($"{Patches}.weight", quantizer.Patches?.Weight);
        foreach (var (index, block) in quantizer.Blocks.Index())
        {
            foreach (var (kind, linear) in block.Linears)
            {
                var name = $"block{index}.{kind.Name()}";
                Write($"{name}.input", linear.Input);
                Write($"{name}.weight", linear.Weight);
                if (linear.Reparameterization is { } moved)
                {
                    Keep($"{name}.ratio", moved.Ratio);
                    Keep($"{name}.offset", moved.Offset);
                }
            }

            if (block.Attention is { } attention)
            {
                ITensorQuantizer[] parts = [attention.Query, attention.Key, attention.Probabilities, attention.Value];
                foreach (var (operand, part) in _operands.Zip(parts))
                {
                    Write($"block{index}.attn.{operand}", part);
                }
            }
        }

        SafetensorsWriter.Write($"{path}.safetensors", tensors);
        var description = new CalibrationDescription(
            quantizer.Method, Hash($"{path}.safetensors"), quantizer.Blocks.Count, records);
        AtomicFile.WriteText($"{path}.json", JsonSerializer.Serialize(description, ReportJson.Options));
    }

    /// <summary>Reads what <see cref="Save"/> wrote.</summary>
    /// <param name="path">The path without extension.</param>
    /// <param name="device">Where the encoder runs.</param>
    /// <exception cref="UserException">A file is missing, damaged, or does not belong to the other.</exception>
    public static CalibratedQuantizer Load(string path, torch.Device device)
    {
        CalibrationDescription description;
        try
        {
            description = JsonSerializer.Deserialize<CalibrationDescription>(File.ReadAllText($"{path}.json"), ReportJson.Options)
                ?? throw new JsonException("it is empty");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new UserException($"{path}.json cannot be read ({exception.Message}); calibrate again.", exception);
        }

        using var file = WeightFile.Open($"{path}.safetensors");
        if (Hash($"{path}.safetensors") != description.Tensors)
        {
            throw new UserException($"{path}.safetensors does not belong to {path}.json; calibrate again.");
        }

        return new Reader(path, file, description, device).Read();
    }

    private static string Hash(string path)
    {
        using var stream = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }

    private sealed class Reader(string path, WeightFile file, CalibrationDescription description, torch.Device device)
    {
        private readonly Dictionary<string, WeightEntry> _tensors = file.Tensors.ToDictionary(entry => entry.Name);

        public CalibratedQuantizer Read()
        {
            var weight = Quantizer($"{Patches}.weight");
            return new(
                description.Method,
                weight is null ? null : new(Quantizer($"{Patches}.input"), Grid(weight, Patches)),
                [.. Enumerable.Range(0, description.Blocks).Select(Block)]);
        }

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
                        Reparameterization = Tensor($"{name}.ratio") is { } ratio && Tensor($"{name}.offset") is { } offset ? new(ratio, offset) : null,
                    };
                }
            }

            var parts = _operands.Select(operand => Quantizer($"block{block}.attn.{operand}")).OfType<ITensorQuantizer>().ToArray();
            return new(linears, parts.Length == _operands.Length ? new(parts[0], parts[1], parts[2], parts[3]) : null);
        }

        private ITensorQuantizer? Quantizer(string name)
        {
            try
            {
                return description.Quantizers.TryGetValue(name, out var record) ? record.Read(role => Tensor($"{name}.{role}")) : null;
            }
            catch (UserException exception)
            {
                throw new UserException($"{path}: `{name}` is damaged ({exception.Message}); calibrate again.", exception);
            }
        }

        private UniformQuantizer Grid(ITensorQuantizer? quantizer, string name) => quantizer as UniformQuantizer
            ?? throw new UserException($"{path}: the weights of `{name}` have no grid; calibrate again.");

        private Tensor? Tensor(string name) => _tensors.TryGetValue(name, out var entry)
            ? entry.ToTensor().to(device).DetachFromDisposeScope()
            : null;
    }
}

/// <summary>The JSON file of a calibration: what it is and which quantizers the tensors beside it belong to.</summary>
/// <param name="Method">The method and its settings.</param>
/// <param name="Tensors">SHA-256 of the safetensors file.</param>
/// <param name="Blocks">Number of blocks.</param>
/// <param name="Quantizers">The quantizers by name, for example `block3.mlp.c_fc.input`.</param>
internal sealed record CalibrationDescription(
    string Method, string Tensors, int Blocks, SortedDictionary<string, QuantizerRecord> Quantizers);
