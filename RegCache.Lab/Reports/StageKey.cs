using System.Security.Cryptography;
using System.Text.Json;

namespace RegCache.Lab.Reports;

/// <summary>
/// What a stage's result depends on: model, data, plan and parameters. Results with equal keys are interchangeable.
/// </summary>
public sealed record StageKey
{
    private StageKey(string hash, JsonElement inputs)
    {
        Hash = hash;
        Inputs = inputs;
    }

    /// <summary>SHA-256 of the inputs as canonical JSON, 64 lower-case hexadecimal digits.</summary>
    public string Hash { get; }

    /// <summary>The inputs, kept in the stage's file so that a reader can see what the key stands for.</summary>
    public JsonElement Inputs { get; }

    /// <summary>The key of a record (or anonymous object) of inputs. Do not put paths or times into it, but content hashes.</summary>
    public static StageKey Of<T>(T inputs)
        where T : notnull
    {
        var element = JsonSerializer.SerializeToElement(inputs, ReportJson.Options);
        return new StageKey(Convert.ToHexStringLower(SHA256.HashData(ReportJson.Canonical(element))), element);
    }

    /// <summary>Keys are equal when their hashes are.</summary>
    public bool Equals(StageKey? other) => other is not null && Hash == other.Hash;

    /// <inheritdoc/>
    public override int GetHashCode() => Hash.GetHashCode(StringComparison.Ordinal);
}
