using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Text;

namespace RegCache.Lab.Training.Clip;

/// <summary>
/// CLIP training on image-text pairs with the contrastive loss, as OpenCLIP does it (docs/methods/clip.md), and finetuning on long captions
/// with a second term for their first sentences (docs/methods/memory.md).
/// </summary>
public sealed class ClipTask : PairTask
{
    private static readonly double _maxLogitScale = Math.Log(100);
    private static readonly string[] _termNames = ["train/contrastive_loss", "train/contrastive_loss_short"];

    private readonly ClipTrainingConfig _config;
    private readonly ClipGradients _gradients;
    private readonly PairEvaluation? _evaluation;

    /// <summary>Prepares a training. The caller keeps the model, the pairs and the tokenizer and disposes them.</summary>
    /// <param name="model">The model; what the configuration does not freeze is trained.</param>
    /// <param name="train">The pairs.</param>
    /// <param name="validation">Pairs for the evaluation, or null.</param>
    /// <param name="preprocess">How images become input.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="config">The training, as its file says.</param>
    /// <param name="unreadable">Receives the pairs that cannot be read, which are then left out; null: such a pair ends the training.</param>
    /// <param name="processes">The processes that train together, each with batches of the configuration's size; null for one.</param>
    /// <exception cref="UserException">The configuration does not fit the data or the model.</exception>
    public ClipTask(
        ClipModel model,
        IPairSource train,
        IPairSource? validation,
        PreprocessOptions preprocess,
        ITokenizer tokenizer,
        ClipTrainingConfig config,
        UnreadablePairs? unreadable = null,
        IProcessGroup? processes = null)
        : base(
            Chosen(model, config),
            new(train, preprocess, tokenizer, config.Augmentation, unreadable) { Captions = config.Captions },
            Together(config, processes ?? SingleProcess.Instance),
            train.Fingerprint,
            processes ?? SingleProcess.Instance)
    {
        _config = Together(config, Processes);
        _gradients = new(model, new()
        {
            Accumulation = config.Accumulation,
            GradientCheckpointing = config.GradCheckpointing,
            PatchDropout = config.PatchDropout,
            Precision = Precision(config),
            CaptionWeights = config.CaptionWeights,
            Processes = Processes,
            Average = Gradients,
        });
        _evaluation = validation is null
            ? null
            : new(new(validation, preprocess, tokenizer, new(), unreadable) { Captions = config.Captions }, _config.BatchSize, config.DatasetName, Processes);
    }

    /// <summary>Keeps the logarithm of the logit scale between 0 and ln 100; every step ends with it.</summary>
    internal static void ClampLogitScale(ClipModel model)
    {
        using var noGradient = torch.no_grad();
        model.LogitScale!.clamp_(0, _maxLogitScale);
    }

    /// <inheritdoc />
    internal override (Tensor Loss, Func<IReadOnlyDictionary<string, Tensor>> Others) Differentiate(ClipBatch[] batches, CounterRandom random)
    {
        var loss = _gradients.Accumulate(batches, random);
        var total = _gradients.Boundaries.Loss is { } boundaries ? loss.Total + boundaries : loss.Total;
        return (total, () =>
        {
            var others = new Dictionary<string, Tensor> { ["train/scale"] = Model.LogitScale!.detach().exp() };
            foreach (var (name, value) in _gradients.Boundaries.Values)
            {
                others[name] = value.alias();
            }

            if (_gradients.Boundaries.Values.Count > 0 && _config.CaptionWeights.Count == 1)
            {
                others[_termNames[0]] = loss.Total;
            }

            if (_config.CaptionWeights.Count > 1)
            {
                foreach (var (name, term) in _termNames.Zip(loss.Terms))
                {
                    others[name] = term;
                }
            }

            return others;
        });
    }

    /// <inheritdoc />
    internal override void AfterStep() => ClampLogitScale(Model);

    /// <inheritdoc />
    internal override IReadOnlyDictionary<string, double> Measure() => _evaluation?.Run(Model) ?? new Dictionary<string, double>();

    private static ClipModel Chosen(ClipModel model, ClipTrainingConfig config)
    {
        TrainedParameters.Choose(model, config);
        return model;
    }
}
