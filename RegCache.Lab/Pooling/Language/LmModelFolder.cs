using System.Text.Json;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Pooling.Language;

/// <summary>What is known about a saved language model besides its tensors.</summary>
/// <param name="Architecture">The architecture.</param>
/// <param name="Symbols">The vocabulary.</param>
/// <param name="TrainedLength">Characters of the chunks that it was trained on: distances from there on it has never seen.</param>
public sealed record LmModelCard(DynamicPoolingConfig Architecture, string Symbols, int TrainedLength);

/// <summary>
/// A language model in a folder: config.json, dynamic_pooling_lm.safetensors, and unigram.json where it has a Unigram vocabulary.
/// </summary>
/// <param name="Model">The model; disposed with this.</param>
/// <param name="Card">What is known about it.</param>
/// <param name="Unigram">Its Unigram vocabulary, or null.</param>
public sealed record LmModelFolder(DynamicPoolingLm Model, LmModelCard Card, UnigramModel? Unigram) : IDisposable
{
    private const string ConfigFile = "config.json", WeightsFile = "dynamic_pooling_lm.safetensors", UnigramFile = "unigram.json";
    private const long LargestConfig = 1 << 20;

    /// <summary>The symbols.</summary>
    public CharVocabulary Vocabulary => new(Card.Symbols);

    /// <summary>What makes the boundaries that a text says by itself; null where it says none.</summary>
    public TextBoundaries? Boundaries => Model.Config.Type.OfText?.Invoke(new(Vocabulary, Model.Config.FixedFactor, Unigram));

    /// <summary>Writes the folder.</summary>
    /// <exception cref="UserException">A file cannot be written.</exception>
    public void Save(string folder)
    {
        SafetensorsWriter.Write(
            Path.Combine(folder, WeightsFile), Model.Weights.Names.Select(name => WeightEntry.FromTensor(name, Model.Weights[name].detach().cpu())));
        Unigram?.Save(Path.Combine(folder, UnigramFile));
        AtomicFile.WriteText(Path.Combine(folder, ConfigFile), JsonSerializer.Serialize(Card, ReportJson.Options) + "\n");
    }

    /// <summary>Reads the folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="device">Where the model computes.</param>
    /// <param name="weights">Another file of weights of the same architecture, such as a checkpoint of upstream; null: the folder's.</param>
    /// <exception cref="UserException">A file is missing or damaged, or the weights are of another model.</exception>
    public static LmModelFolder Load(string folder, torch.Device? device = null, string? weights = null)
    {
        var path = Path.Combine(folder, ConfigFile);
        LmModelCard card;
        try
        {
            card = JsonSerializer.Deserialize<LmModelCard>(SmallFile.Read(path, LargestConfig, "the configuration of a language model"), ReportJson.Options)
                ?? throw new JsonException();
        }
        catch (JsonException exception)
        {
            throw new UserException($"{path} is no configuration of a language model; give the folder that train lm wrote.", exception);
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The language model {folder} cannot be read");
        }

        if (card.Symbols.Length != card.Architecture.Vocabulary || card.Symbols.Distinct().Count() != card.Symbols.Length)
        {
            throw new UserException(
                $"{path}: the vocabulary \"{card.Symbols}\" has not the {card.Architecture.Vocabulary} different symbols that the model has; use the file that belongs to it.");
        }

        var unigram = Path.Combine(folder, UnigramFile);
        return new(
            new DynamicPoolingLm(card.Architecture, ReadWeights(weights ?? Path.Combine(folder, WeightsFile), device ?? torch.CPU)),
            card,
            File.Exists(unigram) ? UnigramModel.Load(unigram) : null);
    }

    /// <inheritdoc />
    public void Dispose() => Model.Dispose();

    private static WeightTable ReadWeights(string path, torch.Device device)
    {
        using var file = WeightFile.Open(path);
        return new(path, file.Tensors.Select(entry => KeyValuePair.Create(entry.Name, entry.ToTensor(torch.ScalarType.Float32).to(device))).ToList());
    }
}
