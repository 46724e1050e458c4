using System.Text.Json;
using System.Text.Json.Schema;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Training.Clip;

/// <summary>The JSON file of a CLIP training: the fields of <see cref="ClipTrainingConfig"/> in snake_case.</summary>
public static class ClipTrainingConfigFile
{
    private const long LargestFile = 1 << 20;

    /// <summary>The JSON schema of the file.</summary>
    public static string Schema() =>
        ReportJson.Options.GetJsonSchemaAsNode(typeof(ClipTrainingConfig)).ToJsonString(ReportJson.Options) + "\n";

    /// <summary>Reads a file.</summary>
    /// <exception cref="UserException">It cannot be read, or a field is unknown, of a wrong type or impossible; the message names it.</exception>
    public static ClipTrainingConfig Load(string path)
    {
        ClipTrainingConfig? config;
        try
        {
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            config = stream.Length <= LargestFile
                ? JsonSerializer.Deserialize<ClipTrainingConfig>(stream, ReportJson.Options)
                : throw new UserException($"{path} is larger than any training configuration; give a small JSON file.");
        }
        catch (JsonException exception)
        {
            var place = exception.Path is { Length: > 2 } field ? $"`{field[2..]}`: " : "";
            throw new UserException($"{path}: {place}{Reason(exception)} (regcache train clip --schema lists the fields).", exception);
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The configuration {path} cannot be read");
        }

        if (config is null)
        {
            throw new UserException($"{path} holds null instead of a training configuration.");
        }

        config.Validate(path);
        return config;
    }

    // The serializer's sentences end with the path and position, and name .NET types.
    private static string Reason(JsonException exception)
    {
        var message = exception.Message;
        if (message.Contains("could not be mapped", StringComparison.Ordinal))
        {
            return "there is no such field";
        }

        if (message.Contains("missing required", StringComparison.Ordinal))
        {
            return "a required field is missing; model, tokenizer and train_data must be given";
        }

        return message.Contains("could not be converted", StringComparison.Ordinal)
            ? "the value is of a wrong type"
            : "this is not valid JSON";
    }
}
