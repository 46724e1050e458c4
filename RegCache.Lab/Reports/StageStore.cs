using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text.Json;
using RegCache.Lab.Distributed;

namespace RegCache.Lab.Reports;

/// <summary>
/// The stage results of a run directory, <c>&lt;stage&gt;.json</c> each. A result counts only when its file is complete, sound
/// and has the key that is asked for; otherwise the stage is computed again.
/// </summary>
public sealed class StageStore
{
    private readonly string _folder;
    private readonly bool _force;
    private readonly IWorkProgress _progress;

    /// <summary>Opens the stage results of a folder; <see cref="RunDirectory"/> does it for a run.</summary>
    /// <param name="folder">An existing folder.</param>
    /// <param name="force">Stored results and checkpoints of earlier runs are ignored (<c>--force</c>).</param>
    /// <param name="progress">Told what is skipped, and why something is computed again.</param>
    internal StageStore(string folder, bool force, IWorkProgress progress)
    {
        _folder = folder;
        _force = force;
        _progress = progress;
    }

    /// <summary>A stage's result: the stored one where it is sound and has the same key, else computed and stored.</summary>
    /// <param name="stage">The stage's name, a plain file name: <c>stage5</c>.</param>
    /// <param name="key">What the result is made from.</param>
    /// <param name="compute">Computes the result.</param>
    /// <exception cref="UserException">The file cannot be read or written (permission, disk).</exception>
    public T GetOrCompute<T>(string stage, StageKey key, Func<T> compute)
        where T : notnull
    {
        if (!TryLoad<T>(stage, key, out var payload))
        {
            Save(stage, key, payload = compute());
        }

        return payload;
    }

    /// <summary>Loads a stage's result.</summary>
    /// <param name="stage">The stage's name.</param>
    /// <param name="key">What the result must have been made from.</param>
    /// <param name="payload">The result.</param>
    /// <returns>False: there is none to use, the stage has to be computed.</returns>
    /// <exception cref="UserException">The file is there but cannot be read (permission, disk).</exception>
    internal bool TryLoad<T>(string stage, StageKey key, [NotNullWhen(true)] out T? payload)
        where T : notnull
    {
        payload = default;
        if (_force)
        {
            return false;
        }

        switch (StageFile.ReadTogether(PathOf(stage), stage, key, out payload))
        {
            case StageFile.Outcome.Loaded:
                _progress.Message($"{stage}: done before with the same inputs, skipped (--force computes it again).");
                return payload is not null;
            case StageFile.Outcome.Damaged:
                _progress.Message($"{stage}: {PathOf(stage)} is damaged or incomplete; it is computed again.");
                return false;
            case StageFile.Outcome.OtherKey:
                _progress.Message($"{stage}: {PathOf(stage)} was made from other inputs; it is computed again.");
                return false;
            default:
                return false;
        }
    }

    /// <summary>Stores a stage's result and drops the stage's checkpoint.</summary>
    /// <exception cref="UserException">The file cannot be written.</exception>
    internal void Save<T>(string stage, StageKey key, T payload)
        where T : notnull
    {
        StageFile.Write(PathOf(stage), stage, key, payload);
        Checkpoint<T>(stage, key).Remove();
    }

    /// <summary>The checkpoint of a long stage, for the state that lets a killed run go on.</summary>
    /// <param name="stage">The stage's name.</param>
    /// <param name="key">The stage's key: a checkpoint with another one is not used.</param>
    /// <param name="interval">Least time between two writes by <see cref="StageCheckpoint{TState}.Offer"/>; null: 30 seconds.</param>
    public StageCheckpoint<TState> Checkpoint<TState>(string stage, StageKey key, TimeSpan? interval = null)
        where TState : notnull =>
        new(Path.Combine(_folder, RequirePlainName(stage) + ".partial.json"), stage, key, interval ?? TimeSpan.FromSeconds(30), _force, _progress);

    /// <summary>The file of a stage's result.</summary>
    public string PathOf(string stage) => Path.Combine(_folder, RequirePlainName(stage) + ".json");

    private static string RequirePlainName(string stage) =>
        stage.Length > 0 && stage.All(symbol => char.IsAsciiLetterOrDigit(symbol) || symbol is '-' or '_')
            ? stage
            : throw new ArgumentException($"'{stage}' is no stage name: letters, digits, '-' and '_' only.", nameof(stage));
}

/// <summary>
/// What a stage's result depends on: model, data, plan and parameters. Results with equal keys are interchangeable.
/// </summary>
public sealed record StageKey
{
    private StageKey(string hash, JsonElement inputs)
    {
        Hash = hash;
        Inputs = inputs;
    }

    /// <summary>SHA-256 of the inputs as canonical JSON, 64 lower-case hexadecimal digits.</summary>
    public string Hash { get; }

    /// <summary>The inputs, kept in the stage's file so that a reader can see what the key stands for.</summary>
    public JsonElement Inputs { get; }

    /// <summary>The key of a record (or anonymous object) of inputs. Do not put paths or times into it, but content hashes.</summary>
    public static StageKey Of<T>(T inputs)
        where T : notnull
    {
        var element = JsonSerializer.SerializeToElement(inputs, ReportJson.Options);
        return new StageKey(Convert.ToHexStringLower(SHA256.HashData(ReportJson.Canonical(element))), element);
    }

    /// <summary>Keys are equal when their hashes are.</summary>
    public bool Equals(StageKey? other) => other is not null && Hash == other.Hash;

    /// <inheritdoc/>
    public override int GetHashCode() => Hash.GetHashCode(StringComparison.Ordinal);
}

/// <summary>
/// The file of a stage's result or checkpoint: the payload with its key and a checksum, so that a part of a file, or one
/// that somebody edited, is never taken for a result.
/// </summary>
internal static class StageFile
{
    private const int CurrentFormat = 1;

    /// <summary>What reading found.</summary>
    internal enum Outcome
    {
        /// <summary>No file.</summary>
        Absent,

        /// <summary>A file that is no complete stage file.</summary>
        Damaged,

        /// <summary>A sound file with another key.</summary>
        OtherKey,

        /// <summary>A sound file with this key.</summary>
        Loaded,
    }

    public static void Write<T>(string path, string stage, StageKey key, T payload)
        where T : notnull
    {
        var element = JsonSerializer.SerializeToElement(payload, ReportJson.Options);
        var envelope = new Envelope(CurrentFormat, stage, key.Hash, key.Inputs, Checksum(element), element);
        AtomicFile.Write(path, stream => JsonSerializer.Serialize(stream, envelope, ReportJson.Options));
    }

    /// <summary>Reads; of several processes all get what the first one reads, so that they go on alike.</summary>
    public static Outcome ReadTogether<T>(string path, string stage, StageKey key, out T? payload)
        where T : notnull
    {
        var processes = Processes.Current;
        payload = default;
        var outcome = processes.Rank == 0 ? Read(path, stage, key, out payload) : Outcome.Absent;
        if (processes.Size == 1)
        {
            return outcome;
        }

        outcome = (Outcome)(int)processes.FromFirst((int)outcome);
        if (outcome == Outcome.Loaded)
        {
            payload = JsonSerializer.Deserialize<T>(processes.FromFirst(JsonSerializer.Serialize(payload, ReportJson.Options)), ReportJson.Options);
        }

        return outcome;
    }

    public static Outcome Read<T>(string path, string stage, StageKey key, out T? payload)
        where T : notnull
    {
        payload = default;
        if (!File.Exists(path))
        {
            return Outcome.Absent;
        }

        try
        {
            using var stream = File.OpenRead(path);
            var envelope = JsonSerializer.Deserialize<Envelope>(stream, ReportJson.Options);
            if (envelope is null || envelope.Format != CurrentFormat || envelope.Stage != stage
                || envelope.PayloadSha256 != Checksum(envelope.Payload))
            {
                return Outcome.Damaged;
            }

            if (envelope.Key != key.Hash)
            {
                return Outcome.OtherKey;
            }

            payload = envelope.Payload.Deserialize<T>(ReportJson.Options);
            return payload is null ? Outcome.Damaged : Outcome.Loaded;
        }
        catch (JsonException)
        {
            return Outcome.Damaged;
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The stage file {path} cannot be read");
        }
    }

    private static string Checksum(JsonElement payload) =>
        Convert.ToHexStringLower(SHA256.HashData(ReportJson.Canonical(payload)));

    private sealed record Envelope(
        int Format, string Stage, string Key, JsonElement Inputs, string PayloadSha256, JsonElement Payload);
}

/// <summary>
/// The state of a stage that is not finished, <c>&lt;stage&gt;.partial.json</c>. A state is a value at a batch boundary from which
/// going on gives the same numbers as never having stopped (counts, sums as written: numbers read back to the same bits).
/// </summary>
/// <typeparam name="TState">The state, a record that <see cref="ReportJson.Options"/> can write and read.</typeparam>
public sealed class StageCheckpoint<TState>
    where TState : notnull
{
    private readonly string _path;
    private readonly string _stage;
    private readonly StageKey _key;
    private readonly TimeSpan _interval;
    private readonly bool _ignoreEarlier;
    private readonly IWorkProgress _progress;
    private long _lastWrite = TimeProvider.System.GetTimestamp();

    internal StageCheckpoint(string path, string stage, StageKey key, TimeSpan interval, bool ignoreEarlier, IWorkProgress progress)
    {
        _path = path;
        _stage = stage;
        _key = key;
        _interval = interval;
        _ignoreEarlier = ignoreEarlier;
        _progress = progress;
    }

    /// <summary>Loads the state that a killed run left.</summary>
    /// <returns>False: there is none to use, start from the beginning.</returns>
    /// <exception cref="UserException">The file is there but cannot be read (permission, disk).</exception>
    public bool TryLoad([NotNullWhen(true)] out TState? state)
    {
        state = default;
        if (_ignoreEarlier)
        {
            return false;
        }

        var outcome = StageFile.ReadTogether(_path, _stage, _key, out state);
        if (outcome == StageFile.Outcome.Damaged)
        {
            _progress.Message($"{_stage}: the checkpoint {_path} is damaged; the stage starts from its beginning.");
        }
        else if (outcome == StageFile.Outcome.Loaded)
        {
            _progress.Message($"{_stage}: going on from the checkpoint of an earlier run.");
        }

        return outcome == StageFile.Outcome.Loaded && state is not null;
    }

    /// <summary>Call after every batch: writes the state when the last write is long enough ago.</summary>
    /// <param name="state">Makes the state; called only when it is written.</param>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public void Offer(Func<TState> state)
    {
        if (TimeProvider.System.GetElapsedTime(_lastWrite) >= _interval)
        {
            Write(state());
        }
    }

    /// <summary>Writes the state now, for example on cancellation.</summary>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public void Write(TState state)
    {
        StageFile.Write(_path, _stage, _key, state);
        _lastWrite = TimeProvider.System.GetTimestamp();
    }

    /// <summary>Deletes the checkpoint; the store does it when the stage's result is stored.</summary>
    internal void Remove()
    {
        if (!Processes.IsFirst)
        {
            return;
        }

        try
        {
            File.Delete(_path);
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The finished checkpoint {_path} cannot be deleted");
        }
    }
}
