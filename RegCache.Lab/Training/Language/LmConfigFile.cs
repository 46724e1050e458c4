using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using RegCache.Lab.Reports;
using YamlDotNet.Core;
using YamlDotNet.Serialization;

namespace RegCache.Lab.Training.Language;

/// <summary>
/// Upstream's YAML files, as they are: the fields of <c>default.train</c>, merged from the blocks that it names. What the command line gives is written
/// over them.
/// </summary>
public static class LmConfigFile
{
    private const long LargestFile = 1 << 20;

    /// <summary>Fields of upstream that have one value here, with the values that mean it; null: any, with what holds instead.</summary>
    private static readonly Dictionary<string, (string[]? Accepted, string Instead)> _settled = new()
    {
        ["cuda"] = (null, "--device says where to compute"),
        ["fp16"] = (null, "the kit computes in float32"),
        ["nw"] = (null, "boundaries are found in this process"),
        ["pre_lnorm"] = (["false"], "layers have their norm behind the residual sum: leave it out"),
        ["activation_function"] = (["gelu"], "the activation is gelu: leave it out"),
        ["optim"] = (["adam"], "the optimiser is adam: leave it out, or choose one by opt"),
        ["scheduler"] = (["cosine"], "the schedule is cosine: leave it out"),
        ["weight_decay"] = (["0", "0.0"], "leave it out, or use wd, which is decoupled from the gradient"),
    };

    /// <summary>The fields that there are, by their names in the file, with their types.</summary>
    public static IReadOnlyDictionary<string, Type> Fields { get; } = ReportJson.Options.GetTypeInfo(typeof(LmTrainingConfig)).Properties
        .Where(property => property.Set is not null)
        .ToDictionary(property => property.Name, property => Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType);

    /// <summary>Reads a configuration.</summary>
    /// <param name="path">The YAML file; null begins with the defaults.</param>
    /// <param name="given">Fields that win over the file, as texts under their names.</param>
    /// <param name="tell">Told of fields of the file that mean something else here.</param>
    /// <exception cref="UserException">The file cannot be read, or a field is unknown, of a wrong type, or impossible.</exception>
    public static LmTrainingConfig Load(string? path, IReadOnlyDictionary<string, string> given, Action<string>? tell = null)
    {
        var fields = new JsonObject();
        foreach (var (name, text) in path is null ? new Dictionary<string, string>() : Read(path))
        {
            if (_settled.TryGetValue(name, out var settled))
            {
                if (settled.Accepted is { } accepted && !accepted.Contains(text.ToLowerInvariant()))
                {
                    throw new UserException($"{path}: `{name}` is {text}, which the kit cannot do: {settled.Instead}.");
                }

                if (settled.Accepted is null && text is not "false")
                {
                    tell?.Invoke($"{path}: `{name}` is left aside; {settled.Instead}.");
                }
            }
            else
            {
                fields[name] = Value(name, text, path!);
            }
        }

        foreach (var (name, text) in given)
        {
            fields[name] = Value(name, text, "the command line");
        }

        return fields.ContainsKey("data")
            ? fields.Deserialize<LmTrainingConfig>(ReportJson.Options)!.Validated()
            : throw new UserException("`data` is missing: give --data a folder with train.txt, valid.txt and test.txt, or a file such as text8.");
    }

    private static JsonNode Value(string name, string text, string source)
    {
        if (!Fields.TryGetValue(name, out var type))
        {
            throw new UserException($"{source}: there is no field `{name}`; the fields are {string.Join(", ", Fields.Keys)}.");
        }

        JsonNode? value = type == typeof(string) ? JsonValue.Create(text)
            : type == typeof(bool) ? bool.TryParse(text, out var flag) ? JsonValue.Create(flag) : null
            : type == typeof(double) ? double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number) ? JsonValue.Create(number) : null
            : type == typeof(int) ? int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var small) ? JsonValue.Create(small) : null
            : long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var whole) ? JsonValue.Create(whole) : null;
        var wanted = type == typeof(bool) ? "true or false" : type == typeof(double) ? "a number" : "a whole number";
        return value ?? throw new UserException($"{source}: `{name}` is '{text}', but must be {wanted}.");
    }

    private static Dictionary<string, string> Read(string path)
    {
        try
        {
            var text = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(SmallFile.Read(path, LargestFile, "a training configuration"));
            var tree = new DeserializerBuilder().Build().Deserialize<Dictionary<string, object?>>(new MergingParser(new Parser(new StringReader(text))));
            var block = tree?.GetValueOrDefault("default") is Dictionary<object, object?> top && top.GetValueOrDefault("train") is Dictionary<object, object?> train
                ? train
                : throw new UserException($"{path} has no block `default` with a block `train` in it, as the configurations of dynamic-pooling have.");
            return block.ToDictionary(
                pair => $"{pair.Key}",
                pair => pair.Value as string ?? throw new UserException($"{path}: `{pair.Key}` holds no single value."));
        }
        catch (Exception exception) when (exception is YamlException or DecoderFallbackException or InvalidOperationException)
        {
            // For some broken lists the parser says only that its state is invalid.
            var reason = exception is YamlException ? exception.Message.TrimEnd('.') : exception is DecoderFallbackException ? "it is not UTF-8" : "a list or text in it is not closed";
            throw new UserException($"{path} is not valid YAML: {reason}.", exception);
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The configuration {path} cannot be read");
        }
    }
}
