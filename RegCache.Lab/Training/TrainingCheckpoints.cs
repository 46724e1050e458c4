using System.Globalization;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Training;

/// <summary>
/// The checkpoints of one training: a safetensors file for each saved step, complete or absent. A killed training goes on
/// from the newest one, to the same weights bit for bit.
/// </summary>
/// <param name="folder">Where they are.</param>
/// <param name="keep">How many are kept, the newest ones.</param>
public sealed class TrainingCheckpoints(string folder, int keep)
{
    private const string Best = "best.safetensors";
    private const string Prefix = "step-";
    private const string Suffix = ".safetensors";

    /// <summary>Saves a training.</summary>
    /// <param name="task">What is trained.</param>
    /// <param name="step">Steps taken so far.</param>
    /// <exception cref="UserException">It cannot be written; the older ones are still there.</exception>
    public void Save(ITrainingTask task, long step)
    {
        Write(Path.Combine(folder, $"{Prefix}{step.ToString("D9", CultureInfo.InvariantCulture)}{Suffix}"), task, step);
        foreach (var (old, _) in Existing().SkipLast(keep))
        {
            File.Delete(old);
        }
    }

    /// <summary>Saves a training as the best one so far, apart from the others.</summary>
    /// <param name="task">What is trained.</param>
    /// <param name="step">Steps taken so far.</param>
    /// <exception cref="UserException">It cannot be written; the older one is still there.</exception>
    public void SaveBest(ITrainingTask task, long step) => Write(Path.Combine(folder, Best), task, step);

    /// <summary>Puts the best checkpoint's tensors into a task.</summary>
    /// <returns>Steps taken until then; null where none was saved.</returns>
    /// <exception cref="UserException">The checkpoint is damaged or belongs to another training.</exception>
    public long? RestoreBest(ITrainingTask task) => File.Exists(Path.Combine(folder, Best)) ? Read(Path.Combine(folder, Best), task) : null;

    /// <summary>The path of the newest checkpoint, or null.</summary>
    public string? Newest() => Existing().LastOrDefault().Path;

    /// <summary>Puts the newest checkpoint's tensors into a task.</summary>
    /// <returns>Steps taken so far; 0 without a checkpoint.</returns>
    /// <exception cref="UserException">The checkpoint is damaged or belongs to another training.</exception>
    public long Restore(ITrainingTask task)
    {
        var (path, _) = Existing().LastOrDefault();
        return path is null ? 0 : Read(path, task);
    }

    /// <summary>Deletes all checkpoints.</summary>
    public void Clear()
    {
        foreach (var (path, _) in Existing())
        {
            File.Delete(path);
        }

        // In a folder that is not there yet there is nothing to delete either.
        if (Directory.Exists(folder))
        {
            File.Delete(Path.Combine(folder, Best));
        }
    }

    private static void Write(string path, ITrainingTask task, long step)
    {
        var entries = task.State.Select(pair => WeightEntry.FromTensor(pair.Key, pair.Value));
        SafetensorsWriter.Write(path, entries, new Dictionary<string, string>
        {
            ["step"] = step.ToString(CultureInfo.InvariantCulture),
            ["training"] = task.Fingerprint,
        });
    }

    private static long Read(string path, ITrainingTask task)
    {
        using var file = WeightFile.Open(path);
        if (file.Metadata.GetValueOrDefault("training") != task.Fingerprint)
        {
            throw new UserException(
                $"{path} belongs to a training with other options, data or model (`batch_size` counts times the processes); choose another --run-dir or start over with --force.");
        }

        var step = long.Parse(file.Metadata["step"], CultureInfo.InvariantCulture);
        task.Prepare(Math.Min(step, task.Steps - 1));
        var entries = file.Tensors.ToDictionary(entry => entry.Name, StringComparer.Ordinal);
        using var noGradient = torch.no_grad();
        foreach (var (name, tensor) in task.State)
        {
            if (!entries.TryGetValue(name, out var entry) || !entry.Shape.SequenceEqual(tensor.shape) || entry.Type != tensor.dtype)
            {
                throw new UserException($"{path} holds no tensor `{name}` of the training's shape and type; delete it to go on from an older one.");
            }

            using var stored = entry.ToTensor();
            tensor.copy_(stored);
        }

        return step;
    }

    private List<(string Path, long Step)> Existing()
    {
        if (!Directory.Exists(folder))
        {
            return [];
        }

        AtomicFile.RemoveLeftovers(folder);
        return
        [
            .. Directory.EnumerateFiles(folder, $"{Prefix}*{Suffix}")
                .Select(path => (path, Step: StepOf(path)))
                .Where(file => file.Step >= 0)
                .OrderBy(file => file.Step),
        ];
    }

    private static long StepOf(string path) =>
        long.TryParse(
            Path.GetFileName(path).AsSpan()[Prefix.Length..^Suffix.Length], NumberStyles.None, CultureInfo.InvariantCulture, out var step)
            ? step
            : -1;
}
