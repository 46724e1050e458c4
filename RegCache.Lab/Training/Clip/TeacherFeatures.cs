using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Encoders.Text;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Training.Clip;

/// <summary>
/// A teacher's features of all images of a set, computed once, in the set's order: so they do not depend on which batches a training makes,
/// nor on where it was resumed.
/// </summary>
public sealed class TeacherFeatures : IDisposable
{
    private const string Name = "teacher_features";
    private const string Key = "teacher_and_images";

    private readonly Tensor _rows;

    private TeacherFeatures(Tensor rows) => _rows = rows.DetachFromDisposeScope();

    /// <summary>Reads the features from a file if it holds those of this teacher and these images; else computes them and writes it.</summary>
    /// <param name="path">The file.</param>
    /// <param name="teacher">The teacher.</param>
    /// <param name="identity">Identifies its weights.</param>
    /// <param name="pairs">The images.</param>
    /// <param name="preprocess">How they become input.</param>
    /// <param name="tokenizer">The teacher's tokenizer.</param>
    /// <param name="batchSize">Images in a batch.</param>
    /// <param name="unreadable">Receives the images that cannot be read; null: such an image is refused.</param>
    /// <param name="progress">Told of the images done.</param>
    /// <param name="group">The processes that share the images.</param>
    /// <param name="cancellation">Stops between batches; nothing is written then.</param>
    /// <exception cref="UserException">An image cannot be read, or the file cannot be written.</exception>
    public static TeacherFeatures Open(
        string path,
        ClipModel teacher,
        string identity,
        IPairSource pairs,
        PreprocessOptions preprocess,
        ITokenizer tokenizer,
        int batchSize,
        UnreadablePairs? unreadable,
        IWorkProgress progress,
        IProcessGroup group,
        CancellationToken cancellation)
    {
        var key = ContentHash.OfValue(new { identity, pairs.Fingerprint, preprocess = preprocess.ToString(), batchSize });
        using var kept = group.Rank == 0 ? Read(path, key) : null;
        if (group.Any(kept is not null))
        {
            var known = kept ?? torch.zeros([pairs.Count, teacher.Config.EmbedDim]);
            group.Broadcast(known);
            return new(known.alias());
        }

        using var noGradient = torch.no_grad();
        using var handle = progress.Start("the teacher's features", pairs.Count, "images");
        var maker = new ClipBatchMaker(pairs, preprocess, tokenizer, new(), unreadable) { Captions = [] };
        var rows = torch.zeros([pairs.Count, teacher.Config.EmbedDim]);
        foreach (var indices in Enumerable.Range(0, pairs.Count).Chunk(batchSize).Where((_, index) => index % group.Size == group.Rank))
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = torch.NewDisposeScope();
            using var batch = maker.Make(indices, default, "the teacher's features");
            maker.Note(batch);
            if (batch.Count > 0)
            {
                var features = teacher.Vision.Encode(batch.Images.to(teacher.Vision.Placement.Device)).cpu();
                rows.index_copy_(0, torch.tensor(batch.Indices.Select(index => (long)index).ToArray()), features);
            }

            handle.Report(indices[^1] + 1);
        }

        // Rows that others have computed are zeros here.
        group.Sum(rows);
        SafetensorsWriter.Write(path, [WeightEntry.FromTensor(Name, rows)], new Dictionary<string, string> { [Key] = key });
        return new(rows);
    }

    private static Tensor? Read(string path, string key)
    {
        if (!File.Exists(path))
        {
            return null;
        }

        using var file = WeightFile.Open(path);
        return file.Metadata.GetValueOrDefault(Key) == key ? file[Name].ToTensor() : null;
    }

    /// <summary>The features of some images [B,E], on the CPU; those that could not be read are zeros.</summary>
    public Tensor Of(IReadOnlyList<int> indices) => TensorScope.Run(() => _rows.index_select(0, torch.tensor(indices.Select(index => (long)index).ToArray())));

    /// <inheritdoc />
    public void Dispose() => _rows.Dispose();
}
