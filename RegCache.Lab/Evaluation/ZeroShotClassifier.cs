using System.Security.Cryptography;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;

namespace RegCache.Lab.Evaluation;

/// <summary>
/// Zero-shot classification: <c>logits = 100 normalize(feature) C</c> with one normalised text embedding a class (Radford et
/// al. 2021, section 3.1; docs/methods/clip.md).
/// </summary>
public sealed class ZeroShotClassifier : IDisposable
{
    /// <summary>The fixed factor of the logits; CLIP's evaluation does not use the learned scale.</summary>
    public const double LogitScale = 100;

    private const string TensorName = "classifier";

    private readonly Tensor _weights;

    /// <summary>Takes ownership of the class embeddings.</summary>
    /// <param name="weights">One column a class [E,K], float32.</param>
    public ZeroShotClassifier(Tensor weights) => _weights = weights.DetachFromDisposeScope();

    /// <summary>Class embeddings [E,K].</summary>
    public Tensor Weights => _weights;

    /// <summary>SHA-256 of the class embeddings, hexadecimal: scores by classifiers of one hash are interchangeable.</summary>
    public string Hash
    {
        get
        {
            using var scope = torch.NewDisposeScope();
            return Convert.ToHexStringLower(SHA256.HashData(_weights.cpu().contiguous().bytes));
        }
    }

    /// <summary>Number of classes K.</summary>
    public int Classes => (int)_weights.shape[1];

    /// <summary>Reads a file that <see cref="Save"/> or somebody else wrote: safetensors with a tensor <c>classifier</c> [E,K].</summary>
    /// <param name="path">The file.</param>
    /// <param name="width">Channels E of the model's features.</param>
    /// <param name="device">Where the model runs.</param>
    /// <exception cref="UserException">The file cannot be read, or holds none of this width.</exception>
    public static ZeroShotClassifier Load(string path, int width, torch.Device device)
    {
        using var file = WeightFile.Open(path);
        var entry = file.Tensors.FirstOrDefault(tensor => tensor.Name == TensorName)
            ?? throw new UserException($"{path} has no tensor `{TensorName}`; give a file that holds one of shape [E, classes].");
        return entry.Shape is [var rows, _] && rows == width
            ? new(entry.ToTensor(torch.ScalarType.Float32).to(device))
            : throw new UserException(
                $"{path}: `{TensorName}` has shape [{string.Join(", ", entry.Shape)}], but the model's features have {width} channels; give a classifier of shape [{width}, classes].");
    }

    /// <summary>
    /// Embeds classes by prompts: each class's templates are encoded, normalised, averaged and normalised again.
    /// </summary>
    /// <param name="tower">The text tower.</param>
    /// <param name="tokenize">Turns prompts into ids [B,context].</param>
    /// <param name="classNames">Names, in class order.</param>
    /// <param name="templates">Prompts in which `{}` stands for the name.</param>
    /// <param name="progress">Told of the classes embedded so far; may be null.</param>
    public static ZeroShotClassifier FromPrompts(
        TextTower tower,
        Func<IReadOnlyList<string>, Tensor> tokenize,
        IReadOnlyList<string> classNames,
        IReadOnlyList<string> templates,
        Action<int>? progress = null)
    {
        const int classesPerBatch = 10;
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        var columns = new List<Tensor>();
        for (var first = 0; first < classNames.Count; first += classesPerBatch)
        {
            using var batch = torch.NewDisposeScope();
            var names = classNames.Skip(first).Take(classesPerBatch).ToArray();
            var prompts = names.SelectMany(name => templates.Select(template => template.Replace("{}", name))).ToArray();
            var features = Normalize(tower.Encode(tokenize(prompts)).to(torch.ScalarType.Float32));
            var means = features.view(names.Length, templates.Count, -1).mean([1]);
            columns.Add(Normalize(means).MoveToOuterDisposeScope());
            progress?.Invoke(first + names.Length);
        }

        return new(torch.cat(columns, 0).t().contiguous());
    }

    /// <summary>Normalises features [B,E] to unit length, in float32.</summary>
    public static Tensor Normalize(Tensor features) =>
        torch.nn.functional.normalize(features.to(torch.ScalarType.Float32), p: 2, dim: -1, eps: 1e-12);

    /// <summary>Logits [B,K] of normalised features [B,E].</summary>
    public Tensor Logits(Tensor normalised)
    {
        using var similarity = normalised.matmul(_weights);
        return similarity * LogitScale;
    }

    /// <summary>Writes the class embeddings as safetensors.</summary>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public void Save(string path)
    {
        using var scope = torch.NewDisposeScope();
        var weights = _weights.cpu().contiguous();
        SafetensorsWriter.Write(path, [WeightEntry.FromValues<float>(TensorName, weights.data<float>().ToArray(), weights.shape)]);
    }

    /// <inheritdoc />
    public void Dispose() => _weights.Dispose();
}
