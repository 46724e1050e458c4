using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Memory;
using RegCache.Lab.Quantization.Integer;
using RegCache.Lab.Reports;
using RegCache.Lab.Training.Clip;
using TorchSharp;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Distils a CLIP model into a student with memory layers.</summary>
internal sealed class TrainDistillCommand : TrainCommand<DistillTrainingConfig>
{
    private const string Teacher = "teacher";

    /// <inheritdoc/>
    public override string Path => "train distill";

    /// <inheritdoc/>
    public override string Description => "Distils a CLIP model into a student whose vision blocks have memory layers in place of MLPs.";

    /// <inheritdoc/>
    protected override TrainingStart Begin(DistillTrainingConfig config, torch.Device device, IWorkProgress progress)
    {
        // The teacher never changes, so its weights may be packed.
        var teacher = Load(config.Pretrained!, config, device, progress, device.type == DeviceType.CPU ? new OneDnnBackend(ExecutionMode.Simulated) : null);
        return new(
            MemoryStudent.Of(teacher.Model, config.Memory(teacher.Model.Config.Vision), config.MemoryInit, config.Seed),
            teacher.Preprocess,
            Tokenizer(config, teacher.Model.Config, teacher),
            new Dictionary<string, LoadedClip> { [Teacher] = teacher });
    }

    /// <inheritdoc/>
    protected override PairTask Prepare(DistillTrainingConfig config, TrainingStart start, TrainingInputs inputs)
    {
        var teacher = start.Origins[Teacher];
        var cache = !config.CacheTeacher ? null : TeacherFeatures.Open(
            inputs.Directory.PathOf("teacher-features.safetensors"),
            teacher.Model,
            teacher.Identity,
            inputs.Train,
            start.Preprocess,
            start.Tokenizer,
            config.BatchSize,
            inputs.Unreadable,
            inputs.Directory.Progress,
            Processes.Current,
            inputs.Cancellation);
        return new DistillTask(
            teacher.Model, start.Model, inputs.Train, inputs.Validation, start.Preprocess, start.Tokenizer, config, teacher.Identity, cache, inputs.Unreadable, Processes.Current);
    }
}

/// <summary>Finetunes a student with memory layers on long captions.</summary>
internal sealed class TrainFinetuneCommand : TrainCommand<FinetuneTrainingConfig>
{
    /// <inheritdoc/>
    public override string Path => "train finetune";

    /// <inheritdoc/>
    public override string Description => "Finetunes a distilled student on long captions and their first sentences.";

    /// <inheritdoc/>
    protected override TrainingStart Begin(FinetuneTrainingConfig config, torch.Device device, IWorkProgress progress)
    {
        // A student's own configuration tells more than a name, such as how many slots are read.
        var own = ModelFolder.Open(config.StudentModel).Config is not null;
        var student = Load(config.StudentModel, own ? config with { Model = null } : config, device, progress);
        if (student.Model.Config.Vision.Memory is null)
        {
            using (student)
            {
                throw new UserException($"`student_model` {config.StudentModel} has no memory layers; give a student that regcache train distill made.");
            }
        }

        var origins = new Dictionary<string, LoadedClip> { ["student_model"] = student };
        if (config.Pretrained is not { } path)
        {
            return new(student.Model, student.Preprocess, Tokenizer(config, student.Model.Config, student), origins);
        }

        // The text tower and the logit scale are the pretrained model's, the vision tower is the student's.
        var loaded = Load(path, config, device, progress);
        origins["pretrained"] = loaded;
        return new(
            MemoryStudent.WithVisionOf(loaded.Model, student.Model), student.Preprocess, Tokenizer(config, loaded.Model.Config, config.Tokenizer is null ? loaded : null), origins);
    }

    /// <inheritdoc/>
    protected override PairTask Prepare(FinetuneTrainingConfig config, TrainingStart start, TrainingInputs inputs) =>
        new ClipTask(start.Model, inputs.Train, inputs.Validation, start.Preprocess, start.Tokenizer, config, inputs.Unreadable, Processes.Current);
}
