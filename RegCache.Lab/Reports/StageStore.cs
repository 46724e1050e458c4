using System.Diagnostics.CodeAnalysis;

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

    /// <summary>Loads a stage's result.</summary>
    /// <param name="stage">The stage's name, a plain file name: <c>stage5</c>.</param>
    /// <param name="key">What the result must have been made from.</param>
    /// <param name="payload">The result.</param>
    /// <returns>False: there is none to use, the stage has to be computed.</returns>
    /// <exception cref="UserException">The file is there but cannot be read (permission, disk).</exception>
    public bool TryLoad<T>(string stage, StageKey key, [NotNullWhen(true)] out T? payload)
        where T : notnull
    {
        payload = default;
        if (_force)
        {
            return false;
        }

        switch (StageFile.Read(PathOf(stage), stage, key, out payload))
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
    public void Save<T>(string stage, StageKey key, T payload)
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
