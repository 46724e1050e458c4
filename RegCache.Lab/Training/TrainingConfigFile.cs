using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Training;

/// <summary>What a training's file says.</summary>
public interface ITrainingConfig
{
    /// <summary>Refuses impossible values.</summary>
    /// <param name="source">The file, for messages.</param>
    /// <exception cref="UserException">A value is impossible; the message names it.</exception>
    void Validate(string source);
}

/// <summary>
/// The JSON file of a training: the fields of its configuration in snake_case. What the command line gives is written over them.
/// </summary>
public static class TrainingConfigFile
{
    private const long LargestFile = 1 << 20;

    /// <summary>The JSON schema of the file.</summary>
    public static string Schema<T>()
        where T : ITrainingConfig =>
        ReportJson.Options.GetJsonSchemaAsNode(typeof(T)).ToJsonString(ReportJson.Options) + "\n";

    /// <summary>Reads a file.</summary>
    /// <exception cref="UserException">It cannot be read, or a field is unknown, of a wrong type or impossible; the message names it.</exception>
    public static T Load<T>(string path)
        where T : ITrainingConfig => Load<T>(path, new());

    /// <summary>Reads a file and writes fields over it.</summary>
    /// <param name="path">The file; null begins with the defaults.</param>
    /// <param name="given">The fields that were given besides, under their names in the file.</param>
    /// <exception cref="UserException">It cannot be read, or a field is unknown, of a wrong type or impossible; the message names it.</exception>
    public static T Load<T>(string? path, JsonObject given)
        where T : ITrainingConfig
    {
        var source = path ?? "the command line";
        try
        {
            JsonObject fields = path is null ? [] : JsonNode.Parse(SmallFile.Read(path, LargestFile, "a training configuration")) switch
            {
                JsonObject read => read,
                null => throw new UserException($"{path} holds null instead of a training configuration."),
                _ => throw new UserException($"{path} holds no JSON object, so it is no training configuration."),
            };
            foreach (var (name, value) in given)
            {
                fields[name] = value?.DeepClone();
            }

            var config = fields.Deserialize<T>(ReportJson.Options)!;
            config.Validate(source);
            return config;
        }
        catch (JsonException exception)
        {
            var field = exception.Path is { Length: > 2 } place ? place[2..] : null;
            var where = field is null ? "" : $"`{field}`: ";
            throw new UserException($"{(field is not null && given.ContainsKey(field) ? "the command line" : source)}: {where}{Reason(exception)} (--schema lists the fields).", exception);
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The configuration {path} cannot be read");
        }
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
            var names = string.Join(" and ", message.Split('\'').Where((_, index) => index % 2 == 1).Skip(1).Select(name => $"`{name}`"));
            return $"a required field is missing: {names}";
        }

        return message.Contains("could not be converted", StringComparison.Ordinal)
            ? "the value is of a wrong type"
            : "this is not valid JSON";
    }
}
