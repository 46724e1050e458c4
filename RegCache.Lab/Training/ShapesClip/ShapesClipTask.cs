using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Reports;
using RegCache.Lab.Training.Clip;

namespace RegCache.Lab.Training.ShapesClip;

/// <summary>
/// The demo model's training (docs/methods/shapes.md): CLIP with patch dropout guided by information, short captions and soft
/// targets, in phases with an optimiser each.
/// </summary>
public sealed class ShapesClipTask : ITrainingTask, IDisposable
{
    private readonly ShapesClipOptions _options;
    private readonly ShapesClipSampler _sampler;
    private readonly ShapesClipEvaluation _evaluation;
    private readonly PlantedRegisters _registers;
    private readonly SamTraining? _sharpness;
    private readonly IProcessGroup _processes;
    private readonly GradientAverage _gradients;
    private AdamW? _optimizer;
    private int _phase = -1;

    /// <summary>Makes the images and the initial weights.</summary>
    /// <param name="options">The recipe.</param>
    /// <param name="processes">The processes that share the recipe's batches; null for one.</param>
    /// <exception cref="UserException">The processes cannot share a batch evenly.</exception>
    public ShapesClipTask(ShapesClipOptions options, IProcessGroup? processes = null)
    {
        (_options, _processes) = (options, processes ?? SingleProcess.Instance);
        if (options.Phases.FirstOrDefault(phase => phase.BatchSize % _processes.Size != 0) is { } uneven)
        {
            throw new UserException(
                $"The demo model is trained with batches of {uneven.BatchSize} images, which {_processes.Size} processes cannot share evenly; start a number that divides {uneven.BatchSize}.");
        }

        Model = new(ShapesClipArchitecture.Config, ShapesClipArchitecture.Initialize(options.Seed));
        _registers = new(Model.Weights);
        foreach (var name in Model.Weights.Names)
        {
            Model.Weights[name].requires_grad = true;
        }

        _gradients = new(_processes, [.. Model.Weights.Names.Select(name => Model.Weights[name])]);
        _sharpness = options.Sharpness is { } sharpness ? new([.. Model.Weights.Names.Select(name => Model.Weights[name])], sharpness) : null;
        var train = ShapesSet.Generate(ShapesSplit.Train, options.TrainImages, options.DataSeed);
        _sampler = new(train, Model.Config.Vision.PatchSize, ShapesClipArchitecture.Tokenizer, options.Seed);
        _evaluation = new(ShapesSet.Generate(ShapesSplit.Validation, options.ValidationImages, options.DataSeed));
        Fingerprint = ContentHash.OfValue(options);
    }

    /// <summary>The model that is trained.</summary>
    public ClipModel Model { get; }

    /// <summary>Told of every phase that ended, by its index, while the model is as the phase left it.</summary>
    public Action<int, ClipModel>? PhaseEnded { get; init; }

    /// <inheritdoc />
    public long Steps => _options.Phases.Sum(phase => (long)phase.Steps);

    /// <inheritdoc />
    public string Fingerprint { get; }

    /// <inheritdoc />
    public IEnumerable<KeyValuePair<string, Tensor>> State =>
        Model.Weights.Names.Select(name => KeyValuePair.Create($"model.{name}", Model.Weights[name]))
            .Concat(_optimizer?.State ?? []);

    /// <inheritdoc />
    public void Prepare(long step)
    {
        var (phase, local) = PhaseOf(step);
        if (phase == _phase)
        {
            return;
        }

        _phase = phase;
        _optimizer?.Dispose();
        _optimizer = new(ParameterGroups.Of(Model.Weights, weightDecay: 0), new(Epsilon: 1e-8));
        _optimizer.Resume(local);
        if (local == 0 && _options.Phases[phase].Registers is not null)
        {
            _registers.Plant();
        }
    }

    /// <inheritdoc />
    public StepMetrics Step(long step) => TensorScope.Run(() =>
    {
        var (index, local) = PhaseOf(step);
        var phase = _options.Phases[index];
        var batch = _sampler.Make(phase, index, local, _processes.Rank, _processes.Size);
        var registerLoss = phase.Registers is { } registers && local < registers.Steps ? registers : null;
        _optimizer!.ZeroGradients();
        var (contrastive, loss) = SamTraining.Passes(_sharpness, () => Differentiate(batch, registerLoss, local), _gradients.Begin);
        var schedule = new CosineSchedule(phase.LearningRate, phase.WarmupSteps, phase.Steps, phase.LearningRate * phase.EndShare);
        _gradients.End();
        var norm = _optimizer.GradientNorm();
        _optimizer.Step(schedule.At(local), norm, _options.MaxGradientNorm);
        ClipTask.ClampLogitScale(Model);
        if (phase.Registers is not null)
        {
            _registers.Enforce();
        }

        if (local == phase.Steps - 1)
        {
            PhaseEnded?.Invoke(index, Model);
        }

        return new StepMetrics(contrastive, schedule.At(local), phase.BatchSize / _processes.Size)
        {
            GradientNorm = norm,
            Others = new Dictionary<string, Tensor>
            {
                ["train/register_loss"] = loss - contrastive,
                ["train/scale"] = Model.LogitScale!.detach().exp(),
            },
            Batch = $"phase {index + 1}, batch {local}",
        };
    });

    /// <inheritdoc />
    public IReadOnlyDictionary<string, double> Evaluate() => _evaluation.Run(Model, _processes);

    /// <inheritdoc />
    public void Dispose()
    {
        _optimizer?.Dispose();
        Model.Dispose();
    }

    /// <summary>Ends the training: makes the registers sharp where a phase planted them.</summary>
    public void Finish()
    {
        if (_options.Phases.Any(phase => phase.Registers is not null))
        {
            _registers.Sharpen();
        }
    }

    // Adds to the gradients; returns the contrastive loss and the whole one, detached.
    private (Tensor Contrastive, Tensor Whole) Differentiate(
        ShapesClipBatch batch, RegisterLossOptions? registers, long local) => TensorScope.Run(() =>
    {
        var probe = registers is null ? null : new RegisterProbe();
        var images = ZeroShotClassifier.Normalize(EncodeImages(batch, probe));
        probe?.AttachToScope();
        var (contrastive, driving) = Loss(images, TextsOf(batch), batch.CaptionOf);
        var extra = registers is null ? null : PlantedRegisters.Loss(registers, local, probe!, batch.IsLowInformation, _processes);
        (extra is null ? driving : driving + extra).backward();
        return (contrastive, extra is null ? contrastive.alias() : contrastive + extra.detach());
    });

    // The features of the caption of every image of this process; each caption is encoded once.
    private Tensor TextsOf(ShapesClipBatch batch) => TensorScope.Run(() =>
    {
        var captions = batch.CaptionOf.narrow(0, batch.First, batch.Images.shape[0]);
        if (_processes.Size == 1)
        {
            return ZeroShotClassifier.Normalize(Model.Text!.Encode(batch.TextIds)).index_select(0, captions);
        }

        var (own, place, _) = captions.unique(sorted: true, return_inverse: true);
        return ZeroShotClassifier.Normalize(Model.Text!.Encode(batch.TextIds.index_select(0, own))).index_select(0, place!);
    });

    // The loss, detached, and what drives the gradients. Images of one caption are all positives of it. Every one of several processes computes the
    // loss of the whole batch, and drives its own features by their gradients.
    private (Tensor Loss, Tensor Driving) Loss(Tensor images, Tensor texts, Tensor captionOf) => TensorScope.Run(() =>
    {
        var isSame = (captionOf.unsqueeze(0) == captionOf.unsqueeze(1)).to(torch.ScalarType.Float32);
        if (_processes.Size == 1)
        {
            var alone = ContrastiveLoss.Of(images, texts, Model.LogitScale!.exp(), isSame);
            return (alone.detach(), alone);
        }

        var (allImages, allTexts) = (_processes.Gather(images).requires_grad_(), _processes.Gather(texts).requires_grad_());
        var loss = ContrastiveLoss.Of(allImages, allTexts, Model.LogitScale!.exp(), isSame);
        loss.backward();
        Tensor Drive(Tensor own, Tensor all) =>
            (own * all.grad!.narrow(0, own.shape[0] * _processes.Rank, own.shape[0])).sum() * _processes.Size;
        return (loss.detach(), Drive(images, allImages) + Drive(texts, allTexts));
    });

    private Tensor EncodeImages(ShapesClipBatch batch, RegisterProbe? probe) => TensorScope.Run(() =>
    {
        var tower = Model.Vision;
        var stream = tower.Embed(batch.Images);
        stream = batch.Kept is null ? stream : stream.Select(batch.Kept);
        for (var block = 0; block < tower.Blocks.Count; block++)
        {
            var wanted = block == tower.Blocks.Count - 1 ? tower.WantedTokens(probe) : null;
            var entering = stream with { Tokens = _gradients.Mark(stream.Tokens) };
            stream = TransformerBlock.Forward(entering, block, tower.Blocks[block], BlockPlan.Plain, probe: probe, keepTokens: wanted);
        }

        return tower.Project(stream);
    });

    private (int Phase, long Local) PhaseOf(long step)
    {
        var phase = 0;
        while (step >= _options.Phases[phase].Steps)
        {
            step -= _options.Phases[phase++].Steps;
        }

        return (phase, step);
    }
}

/// <summary>Zero-shot accuracy over the 48 classes.</summary>
/// <param name="images">Labelled images.</param>
public sealed class ShapesClipEvaluation(ShapesSet images)
{
    private const int BatchSize = 64;

    /// <summary>The classifier of a model: every class's prompts, averaged.</summary>
    public static ZeroShotClassifier Classifier(ClipModel model) => ZeroShotClassifier.FromPrompts(
        model.Text!, Tokenize, ShapesVocabulary.Classes, ShapesVocabulary.Templates);

    /// <summary>Texts as ids [B,context], int64.</summary>
    public static Tensor Tokenize(IReadOnlyList<string> texts)
    {
        var tokenizer = ShapesClipArchitecture.Tokenizer;
        return torch.tensor(tokenizer.EncodeBatch(texts), [texts.Count, tokenizer.ContextLength]);
    }

    /// <summary>Measures <c>val/top1</c> and <c>val/top5</c>, in percent.</summary>
    /// <param name="model">The model.</param>
    /// <param name="processes">The processes that share the images.</param>
    public IReadOnlyDictionary<string, double> Run(ClipModel model, IProcessGroup processes)
    {
        using var noGradient = torch.no_grad();
        using var classifier = Classifier(model);
        var tree = new PlanTree([EncoderPlan.Plain(model.Vision.Blocks.Count)]);
        var score = PlanEvaluation.Run(
            model.Vision, classifier, new ShapesImageSource(images), tree, new("validation", BatchSize) { Processes = processes })[0];
        return new Dictionary<string, double> { ["val/top1"] = score.Accuracy, ["val/top5"] = score.AccuracyTop5 };
    }
}
