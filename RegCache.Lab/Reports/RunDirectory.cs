using System.Text;
using RegCache.Lab.Distributed;

namespace RegCache.Lab.Reports;

/// <summary>
/// The folder of one run, <c>runs/&lt;name&gt;</c>: <c>result.json</c>, tables, stage results and <c>run.log</c>. One job at a
/// time: opening it locks it, disposing it (or the process's end, however it ends) unlocks it. Of several processes of a job the first one holds the
/// folder and writes.
/// </summary>
public sealed class RunDirectory : IDisposable
{
    private const string OwnerFile = ".model";

    private readonly FileStream? _lock;
    private readonly RunLog? _log;

    private RunDirectory(string path, FileStream? held, bool force, IWorkProgress progress)
    {
        Path = path;
        Force = force;
        _lock = held;
        _log = held is null ? null : new RunLog(PathOf("run.log"), progress);
        Progress = _log ?? progress;
        Stages = new StageStore(path, force, Progress);
    }

    /// <summary>The folder's full path.</summary>
    public string Path { get; }

    /// <summary>Whether results of earlier runs are ignored.</summary>
    public bool Force { get; }

    /// <summary>The stage results of the run.</summary>
    public StageStore Stages { get; }

    /// <summary>Use this instead of the progress given to <see cref="Open"/>: messages and finished work go to run.log, too.</summary>
    public IWorkProgress Progress { get; }

    /// <summary>Creates the folder if it is missing, and locks it.</summary>
    /// <param name="path">The folder.</param>
    /// <param name="force">Stored stage results are ignored.</param>
    /// <param name="progress">Who else is told what the run does.</param>
    /// <exception cref="UserException">The folder cannot be created or written, or another run is using it.</exception>
    public static RunDirectory Open(string path, bool force, IWorkProgress progress)
    {
        var full = System.IO.Path.GetFullPath(path);
        FileStream? held = null;
        if (!Processes.IsFirst)
        {
            return new RunDirectory(full, held, force, progress);
        }

        try
        {
            Directory.CreateDirectory(full);
            held = Lock(full);
            AtomicFile.RemoveLeftovers(full);
            return new RunDirectory(full, held, force, progress);
        }
        catch (Exception exception)
        {
            held?.Dispose();
            if (FileErrors.IsFileError(exception))
            {
                throw FileErrors.ToUserException(exception, $"The run directory {path} cannot be used (--run-dir)");
            }

            throw;
        }
    }

    /// <summary>
    /// The folder for the runs of a model that other models may be named like: the given one, or where that is another model's
    /// the same with "-2", "-3", ... The folder keeps the model's place in a file.
    /// </summary>
    /// <param name="path">The folder by the model's name.</param>
    /// <param name="owner">The full path of the model.</param>
    /// <param name="progress">Is told when the folder is another's.</param>
    /// <exception cref="UserException">The folder cannot be created or written.</exception>
    public static string Claim(string path, string owner, IWorkProgress progress)
    {
        var number = 1;
        while (true)
        {
            var candidate = number == 1 ? path : $"{path}-{number}";
            var note = System.IO.Path.Combine(candidate, OwnerFile);
            try
            {
                if (!File.Exists(note))
                {
                    Directory.CreateDirectory(candidate);
                    AtomicFile.WriteText(note, owner + "\n");
                }

                if (File.ReadAllText(note) == owner + "\n")
                {
                    if (number > 1)
                    {
                        progress.Message($"The run directory {path} belongs to another model of this name; this run is kept in {candidate}.");
                    }

                    return candidate;
                }
            }
            catch (Exception exception) when (FileErrors.IsFileError(exception))
            {
                throw FileErrors.ToUserException(exception, $"The run directory {candidate} cannot be used (--run-dir)");
            }

            number++;
        }
    }

    /// <summary>The path of a file of the run.</summary>
    public string PathOf(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>Writes <c>result.json</c>.</summary>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public void WriteResult<T>(Provenance provenance, T result)
        where T : notnull =>
        ResultFile.Write(PathOf("result.json"), provenance, result);

    /// <summary>Unlocks the folder.</summary>
    public void Dispose()
    {
        _log?.Dispose();
        _lock?.Dispose();
    }

    // The file stays when the run ends: deleting it would race with the next run that opens it.
    private static FileStream Lock(string folder)
    {
        var path = System.IO.Path.Combine(folder, ".lock");
        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException exception) when (IsHeldByAnother(exception))
        {
            throw new UserException(
                $"Another run is using the run directory {folder}: wait for its end or choose another --run-dir.", exception);
        }
    }

    // EAGAIN of Linux, EAGAIN of macOS, ERROR_SHARING_VIOLATION of Windows.
    private static bool IsHeldByAnother(IOException exception) =>
        exception.HResult is 11 or 35 or unchecked((int)0x80070020);

    private sealed class RunLog : IWorkProgress, IDisposable
    {
        private readonly Lock _gate = new();
        private readonly string _path;
        private readonly StreamWriter _writer;
        private readonly IWorkProgress _listener;

        public RunLog(string path, IWorkProgress listener)
        {
            _path = path;
            _listener = listener;
            var stream = new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.Read);
            _writer = new StreamWriter(stream, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));
        }

        public IProgressHandle Start(string title, long total, string unit, long alreadyDone = 0)
        {
            Write($"{title}: starts at {alreadyDone} of {total} {unit}");
            return new Handle(this, title, total, unit, alreadyDone, _listener.Start(title, total, unit, alreadyDone));
        }

        public void Message(string text)
        {
            Write(text);
            _listener.Message(text);
        }

        public void Dispose() => _writer.Dispose();

        private void Write(string text)
        {
            try
            {
                lock (_gate)
                {
                    _writer.WriteLine($"{DateTimeOffset.Now:yyyy-MM-ddTHH:mm:sszzz} {text}");
                    _writer.Flush();
                }
            }
            catch (Exception exception) when (FileErrors.IsFileError(exception))
            {
                throw FileErrors.ToUserException(exception, $"The log {_path} cannot be written");
            }
        }

        private sealed class Handle(RunLog log, string title, long total, string unit, long alreadyDone, IProgressHandle listener)
            : IProgressHandle
        {
            private readonly long _started = TimeProvider.System.GetTimestamp();
            private long _done = alreadyDone;

            public void Report(long done)
            {
                Volatile.Write(ref _done, done);
                listener.Report(done);
            }

            public void Dispose()
            {
                listener.Dispose();
                var seconds = TimeProvider.System.GetElapsedTime(_started).TotalSeconds;
                log.Write($"{title}: {Volatile.Read(ref _done)} of {total} {unit} after {seconds:0.0} s");
            }
        }
    }
}
