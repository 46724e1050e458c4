using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Registers;

/// <summary>
/// Stages 3 and 4 with their files: the averaged prefixes of the candidate blocks, kept in the run directory and used
/// again when they belong to the same model, images and options. They do not depend on the quantizer.
/// </summary>
internal sealed class PrefixStore : IDisposable
{
    private readonly RegCacheSubject _subject;
    private readonly RegCacheOptions _options;
    private readonly RunDirectory _directory;
    private readonly CancellationToken _cancellation;
    private readonly Dictionary<int, PrefixCache> _caches = [];
    private readonly Dictionary<int, RegisterPrefix> _prefixes = [];

    public PrefixStore(
        RegCacheSubject subject, RegCacheOptions options, RunDirectory directory, CancellationToken cancellation) =>
        (_subject, _options, _directory, _cancellation) = (subject, options, directory, cancellation);

    /// <summary>The prefix of a block that was prepared.</summary>
    public RegisterPrefix Prefix(int block) => _prefixes[block];

    /// <summary>Loads the prefixes of the blocks, and computes those that are not there.</summary>
    public void Prepare(ValueList<int> blocks)
    {
        foreach (var block in blocks)
        {
            var cache = _directory.Force ? null : PrefixCacheFile.TryLoad(PathOf(block), Key(block), _directory.Progress);
            if (cache is not null)
            {
                _caches[block] = cache;
            }
        }

        ValueList<int> missing = [.. blocks.Where(block => !_caches.ContainsKey(block))];
        if (missing.Count > 0)
        {
            Compute(missing);
        }

        foreach (var block in blocks)
        {
            _prefixes[block] = _caches[block].ToPrefix(_subject.Tower.Placement.Device);
        }
    }

    public void Dispose()
    {
        foreach (var cache in _caches.Values)
        {
            cache.Dispose();
        }
    }

    private void Compute(ValueList<int> blocks)
    {
        var candidates = CandidateExtraction.Run(
            _subject.Tower, _subject.SearchImages, blocks, _options.TopTokens, _options.ScoreTensor, Pass("stage 3: candidates"));
        foreach (var (block, cache) in PrefixAveraging.Run(
            _subject.Tower, _subject.SearchImages, candidates, Pass("stage 4: averaging")))
        {
            PrefixCacheFile.Save(PathOf(block), cache, Key(block));
            _caches[block] = cache;
        }
    }

    private PrefixKey Key(int block) => new(
        _subject.Model,
        _subject.Pretrained,
        _subject.ModelHash,
        block,
        _options.TopTokens,
        _options.ScoreTensor,
        _subject.SearchImages.Count,
        _subject.SearchImages.Fingerprint);

    private string PathOf(int block) =>
        Path.Combine(_directory.PathOf(_subject.PrefixFolder), $"block{block:00}.safetensors");

    private EvaluationRun Pass(string title) => new(title, _subject.BatchSize)
    {
        Progress = _directory.Progress,
        Cancellation = _cancellation,
    };
}
