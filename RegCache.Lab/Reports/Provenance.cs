namespace RegCache.Lab.Reports;

/// <summary>Where a result comes from; part of every result file.</summary>
/// <param name="Time">When the result was written, with the offset to UTC.</param>
/// <param name="CommandLine">The command line that made it.</param>
/// <param name="Seed">The seed of the run.</param>
/// <param name="Plan">What was run, as text: the encoder plan, quantizer and options.</param>
/// <param name="Models">SHA-256 of every model file, by the file's name.</param>
/// <param name="Data">Fingerprint of every data set, by its role (<c>TRAIN_SAMPLE</c>, ...).</param>
/// <param name="Versions">Versions of the kit, its libraries and the system; see <see cref="KitVersions"/>.</param>
public sealed record Provenance(
    DateTimeOffset Time,
    string CommandLine,
    long Seed,
    string Plan,
    IReadOnlyDictionary<string, string> Models,
    IReadOnlyDictionary<string, string> Data,
    IReadOnlyDictionary<string, string> Versions);
