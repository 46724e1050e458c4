using System.Security.Cryptography;
using System.Text.Json;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Quantization.Storage;

/// <summary>Saves and loads calibrated quantizers: a safetensors file with all scales and a JSON file that says what they are.</summary>
public static class CalibrationFile
{
    /// <summary>Writes `PATH.safetensors` and `PATH.json`.</summary>
    /// <param name="path">The path without extension.</param>
    /// <param name="quantizer">The quantizer.</param>
    /// <exception cref="UserException">A file cannot be written.</exception>
    public static void Save(string path, CalibratedQuantizer quantizer)
    {
        var parts = CalibrationParts.Of(quantizer.Patches, quantizer.Blocks);
        SafetensorsWriter.Write(
            $"{path}.safetensors", [.. parts.Tensors.Select(part => WeightEntry.FromValues<float>(part.Name, part.Values, part.Shape))]);
        var description = new CalibrationDescription(
            quantizer.Method, Hash($"{path}.safetensors"), quantizer.Blocks.Count, parts.Quantizers);
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

        var tensors = file.Tensors.ToDictionary(entry => entry.Name);
        var reader = new CalibrationReader(
            path,
            description.Quantizers,
            name => tensors.TryGetValue(name, out var entry) ? entry.ToTensor().to(device).DetachFromDisposeScope() : null);
        return new(description.Method, reader.Patches(), reader.Blocks(description.Blocks));
    }

    private static string Hash(string path)
    {
        using var stream = File.OpenRead(path);
        return Convert.ToHexStringLower(SHA256.HashData(stream));
    }
}

/// <summary>The JSON file of a calibration: what it is and which quantizers the tensors beside it belong to.</summary>
/// <param name="Method">The method and its settings.</param>
/// <param name="Tensors">SHA-256 of the safetensors file.</param>
/// <param name="Blocks">Number of blocks.</param>
/// <param name="Quantizers">The quantizers by name, for example `block3.mlp.c_fc.input`.</param>
internal sealed record CalibrationDescription(
    string Method, string Tensors, int Blocks, SortedDictionary<string, QuantizerRecord> Quantizers);
