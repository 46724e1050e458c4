using System.Diagnostics.CodeAnalysis;

namespace RegCache.Lab.Reports;

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

        var outcome = StageFile.Read(_path, _stage, _key, out state);
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

    /// <summary>Deletes the checkpoint; <see cref="StageStore.Save"/> does it when the stage is done.</summary>
    internal void Remove()
    {
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
