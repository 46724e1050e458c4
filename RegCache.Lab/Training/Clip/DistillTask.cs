using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Text;
using RegCache.Lab.Memory;

namespace RegCache.Lab.Training.Clip;

/// <summary>
/// Distils a frozen CLIP model into a student with memory layers: the student's image features are to be the teacher's, before both are
/// normalised (docs/methods/memory.md, "Distillation"). Captions take no part but in the evaluation.
/// </summary>
public sealed class DistillTask : PairTask
{
    private readonly DistillTrainingConfig _config;
    private readonly ClipModel _teacher;
    private readonly TeacherFeatures? _cache;
    private readonly TowerPasses _passes;
    private readonly DistillEvaluation? _evaluation;

    /// <summary>Prepares a distillation. The caller keeps models, pairs, cache and tokenizer and disposes them.</summary>
    /// <param name="teacher">The teacher; it stays as it is.</param>
    /// <param name="student">A student of it, see <see cref="MemoryStudent.Of"/>; its memory layers are trained.</param>
    /// <param name="train">The pairs, of which the images count.</param>
    /// <param name="validation">Pairs for the evaluation, or null.</param>
    /// <param name="preprocess">How images become input.</param>
    /// <param name="tokenizer">The teacher's tokenizer.</param>
    /// <param name="config">The training, as its file says.</param>
    /// <param name="identity">Identifies the teacher's weights.</param>
    /// <param name="cache">The teacher's features of the training images; null computes them for every batch.</param>
    /// <param name="unreadable">Receives the pairs that cannot be read, which are then left out; null: such a pair ends the training.</param>
    /// <param name="processes">The processes that train together, each with batches of the configuration's size; null for one.</param>
    /// <exception cref="UserException">Student, data or early stopping do not fit.</exception>
    public DistillTask(
        ClipModel teacher,
        ClipModel student,
        IPairSource train,
        IPairSource? validation,
        PreprocessOptions preprocess,
        ITokenizer tokenizer,
        DistillTrainingConfig config,
        string identity,
        TeacherFeatures? cache = null,
        UnreadablePairs? unreadable = null,
        IProcessGroup? processes = null)
        : base(
            Checked(teacher, student),
            new(train, preprocess, tokenizer, config.Augmentation, unreadable) { Captions = [] },
            Together(config, processes ?? SingleProcess.Instance),
            $"{train.Fingerprint} {identity}",
            processes ?? SingleProcess.Instance)
    {
        (_config, _teacher, _cache) = (config, teacher, cache);
        _passes = new(student, Precision(config), config.PatchDropout) { Average = Gradients };
        _evaluation = validation is null
            ? null
            : new(teacher, new(validation, preprocess, tokenizer, new(), unreadable), Together(config, Processes).BatchSize, config.DatasetName, Processes);
        config.Stopping.Require(validation is null ? [] : DistillEvaluation.Metrics);
        Stopping = new(config.Stopping);
    }

    /// <inheritdoc />
    public override EarlyStoppingState Stopping { get; }

    /// <inheritdoc />
    internal override (Tensor Loss, Func<IReadOnlyDictionary<string, Tensor>> Others) Differentiate(ClipBatch[] batches, CounterRandom random)
    {
        var loss = TensorScope.Run(() =>
        {
            Tensor? total = null;
            var shares = BatchShare.Of(batches, Processes);
            foreach (var (index, batch) in batches.Index())
            {
                var share = _config.SumGradients ? shares[index].OfMicroBatch : shares[index].OfStep;
                using var pass = _passes.Images(
                    batch.Images, random.Fork(index), _config.GradCheckpointing, normalize: false, share, shares[index].First);
                var features = pass.Features.detach().requires_grad_();
                var part = _config.Objective.Of(TeacherOf(batch), features) * share;
                part.backward();
                pass.Backward(features.grad!);
                total = total is null || _config.SumGradients ? part.detach() : total + part.detach();
            }

            return total!;
        });
        return (loss, static () => new Dictionary<string, Tensor>());
    }

    /// <inheritdoc />
    internal override IReadOnlyDictionary<string, double> Measure() => _evaluation?.Run(Model) ?? new Dictionary<string, double>();

    private static ClipModel Checked(ClipModel teacher, ClipModel student)
    {
        MemoryStudent.RequireSameFeatures(teacher, student);
        if (MemoryStudent.TrainOnlyMemory(student).Count == 0)
        {
            throw new UserException($"{student.Weights.Source} has no memory layers, so nothing can be distilled into it.");
        }

        return student;
    }

    private Tensor TeacherOf(ClipBatch batch)
    {
        using var noGradient = torch.no_grad();
        return _cache?.Of(batch.Indices).to(batch.Images.device) ?? _teacher.Vision.Encode(batch.Images);
    }
}
