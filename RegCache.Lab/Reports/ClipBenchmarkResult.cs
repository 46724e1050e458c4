using System.Text.Encodings.Web;
using System.Text.Json;

namespace RegCache.Lab.Reports;

/// <summary>
/// One result in the form of CLIP_benchmark (github.com/LAION-AI/CLIP_benchmark), so that its tools, as <c>clip_benchmark build</c>, put
/// it beside others: a JSON object of one model on one data set.
/// </summary>
/// <param name="Dataset">Name of the data set, as CLIP_benchmark has it: <c>imagenet1k</c>, <c>mscoco_captions</c>.</param>
/// <param name="Model">The model, with how it ran where that is not in float.</param>
/// <param name="Pretrained">Tag of the weights.</param>
/// <param name="Task"><see cref="Classification"/> or <see cref="Retrieval"/>.</param>
/// <param name="Metrics">Shares from 0 to 1 by their names there; null where one does not exist (CLIP_benchmark has NaN there).</param>
/// <param name="Language">Language of class names and captions.</param>
public sealed record ClipBenchmarkResult(
    string Dataset, string Model, string Pretrained, string Task, IReadOnlyDictionary<string, double?> Metrics, string Language)
{
    /// <summary>The task with the metrics <c>acc1</c>, <c>acc5</c> and <c>mean_per_class_recall</c>.</summary>
    public const string Classification = "zeroshot_classification";

    /// <summary>The task with the metrics <c>image_retrieval_recall@K</c> and <c>text_retrieval_recall@K</c>.</summary>
    public const string Retrieval = "zeroshot_retrieval";

    private static readonly JsonSerializerOptions _options = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        RespectRequiredConstructorParameters = true,
    };

    /// <summary>Writes the object.</summary>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public void Write(string path) => AtomicFile.Write(path, stream => JsonSerializer.Serialize(stream, this, _options));

    /// <summary>Reads an object, for example to compare with it.</summary>
    /// <exception cref="UserException">The file cannot be read, or is none.</exception>
    public static ClipBenchmarkResult Read(string path)
    {
        try
        {
            using var stream = File.OpenRead(path);
            return JsonSerializer.Deserialize<ClipBenchmarkResult>(stream, _options) ?? throw new JsonException("The file holds null.");
        }
        catch (JsonException exception)
        {
            throw new UserException($"{path} is no result of CLIP_benchmark (dataset, model, pretrained, task, metrics, language).", exception);
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The result {path} cannot be read");
        }
    }
}
