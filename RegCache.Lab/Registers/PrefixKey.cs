namespace RegCache.Lab.Registers;

/// <summary>What a prefix file was made from; a file with another key is not used.</summary>
internal sealed record PrefixKey(
    string Model,
    string Pretrained,
    string ModelHash,
    int ExtractionBlock,
    int TopTokens,
    ScoreTensor ScoreTensor,
    int Images,
    string Dataset)
{
    /// <summary>The metadata of the file.</summary>
    public IReadOnlyDictionary<string, string> ToMetadata() => new Dictionary<string, string>
    {
        ["model"] = Model,
        ["pretrained"] = Pretrained,
        ["model_hash"] = ModelHash,
        ["t"] = ExtractionBlock.ToString(),
        ["topn"] = TopTokens.ToString(),
        ["score_tensor"] = ScoreTensor.ToString(),
        ["images"] = Images.ToString(),
        ["dataset_fingerprint"] = Dataset,
        ["tool_version"] = Reports.KitVersions.Current["regcache"],
    };
}
