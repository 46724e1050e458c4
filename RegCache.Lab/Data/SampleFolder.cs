using RegCache.Lab.Reports;

namespace RegCache.Lab.Data;

/// <summary>How the images of a drawn set come into their folder.</summary>
public enum SampleMode
{
    /// <summary>Symbolic links to the training images.</summary>
    Link,

    /// <summary>Copies.</summary>
    Copy,

    /// <summary>Not at all: only the list of them is written.</summary>
    List,
}

/// <summary>
/// Writes a drawn set as class folders, with the list of its files beside the folder. The folder appears under its name only when
/// it is complete; until then it ends with <c>.part</c>, and the same call goes on with it.
/// </summary>
/// <param name="TrainingFolder">The folder that the set was drawn from.</param>
/// <param name="Folder">The folder of the set.</param>
/// <param name="Images">Its images, as paths below the training folder with forward slashes.</param>
/// <param name="Title">What the set is, in one line, for the head of the list. Sets with other titles or images are different sets.</param>
public sealed record SampleFolder(string TrainingFolder, string Folder, IReadOnlyList<string> Images, string Title)
{
    private const string Partial = ".part";

    /// <summary>The list of the set's images, one a line behind a line that begins with <c>#</c>.</summary>
    public string ListFile => Path.TrimEndingDirectorySeparator(Folder) + ".txt";

    /// <summary>Writes the list and the folder, or what is missing of them.</summary>
    /// <param name="mode">Links, copies, or the list alone.</param>
    /// <param name="progress">Told how far it is.</param>
    /// <param name="cancellation">Stops the work; calling again goes on.</param>
    /// <returns>How many images were written; those that were there are not counted.</returns>
    /// <exception cref="UserException">The folder holds another set, lies in the training folder, or cannot be written.</exception>
    /// <exception cref="OperationCanceledException">Cancelled.</exception>
    public int Write(SampleMode mode, IWorkProgress progress, CancellationToken cancellation = default)
    {
        var folder = Path.TrimEndingDirectorySeparator(Path.GetFullPath(Folder));
        var training = Path.TrimEndingDirectorySeparator(Path.GetFullPath(TrainingFolder));
        if ((folder + Path.DirectorySeparatorChar).StartsWith(training + Path.DirectorySeparatorChar, StringComparison.Ordinal))
        {
            throw new UserException($"The set cannot be written to {folder}, which lies among the training images, where it would be a class: give --to another folder.");
        }

        try
        {
            CheckList(folder);
            AtomicFile.WriteText(ListFile, Listed());
            return mode == SampleMode.List ? 0 : Fill(folder, training, mode, progress, cancellation);
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The set {folder} cannot be written");
        }
    }

    private string Listed() => $"# {Title}\n{string.Concat(Images.Select(image => image + "\n"))}";

    private void CheckList(string folder)
    {
        if (File.Exists(ListFile))
        {
            if (File.ReadAllText(ListFile) != Listed())
            {
                throw new UserException(
                    $"{ListFile} lists another set than '{Title}' of these training images: give --to another folder, or remove that list and its folder.");
            }
        }
        else if (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any())
        {
            throw new UserException($"The folder {folder} exists and is not of this command, for {ListFile} is not there: give --to another folder, or move it away.");
        }
    }

    private int Fill(string folder, string training, SampleMode mode, IWorkProgress progress, CancellationToken cancellation)
    {
        // A folder that is complete but has lost images is mended where it is.
        var isComplete = Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any();
        var target = isComplete ? folder : folder + Partial;
        var written = 0;
        Directory.CreateDirectory(target);
        using (var work = progress.Start($"{(mode == SampleMode.Link ? "linking" : "copying")} {Path.GetFileName(folder)}", Images.Count, "images"))
        {
            foreach (var (done, image) in Images.Index())
            {
                cancellation.ThrowIfCancellationRequested();
                var (source, file) = (Path.Combine(training, image), Path.Combine(target, image));
                Directory.CreateDirectory(Path.GetDirectoryName(file)!);
                written += mode == SampleMode.Link ? Link(source, file) : Copy(source, file);
                work.Report(done + 1);
            }
        }

        if (!isComplete)
        {
            if (Directory.Exists(folder))
            {
                Directory.Delete(folder);
            }

            Directory.Move(target, folder);
        }

        return written;
    }

    private static int Link(string source, string file)
    {
        var there = new FileInfo(file);
        if (there.LinkTarget == source)
        {
            return 0;
        }

        there.Delete();
        File.CreateSymbolicLink(file, source);
        return 1;
    }

    private static int Copy(string source, string file)
    {
        var there = new FileInfo(file);
        if (there.LinkTarget is null && there.Exists && there.Length == new FileInfo(source).Length)
        {
            return 0;
        }

        var temporary = Path.Combine(there.DirectoryName!, $".{there.Name}.tmp");
        File.Delete(temporary);
        File.Copy(source, temporary);
        File.Move(temporary, file, overwrite: true);
        return 1;
    }
}
