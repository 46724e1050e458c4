namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>
/// Loads plain ViT classifiers under the names of timm, DeiT and MAE as configurations of the one encoder: the
/// classification head is the tower's projection, so that its image features are the class logits.
/// </summary>
public static class VitClassifierLoader
{
    private const string PatchWeight = "patch_embed.proj.weight";

    // What a training keeps beside the weights; it may lie at the weights' own level where a file has no levels.
    private static readonly string[] _trainingState = ["optimizer.", "lr_scheduler.", "scaler.", "loss_scaler.", "amp_scaler."];

    /// <summary>Loads a checkpoint: safetensors, or PyTorch's forms with or without a dict around the weights.</summary>
    /// <exception cref="UserException">The file cannot be read, or holds another kind of model.</exception>
    public static ClipModel Load(string path, VitClassifierOptions? options = null)
    {
        using var file = WeightFile.Open(path);
        var first = file.Tensors.Select(tensor => tensor.Name)
            .Where(name => name.EndsWith(PatchWeight, StringComparison.Ordinal)).MinBy(name => name.Length)
            ?? throw new UserException($"{path} has no tensor `{PatchWeight}`; it does not hold a ViT classifier under the names of timm, DeiT or MAE.");
        var prefix = first[..^PatchWeight.Length];
        using var scope = torch.NewDisposeScope();
        var state = new StateDict(path, file.Tensors
            .Where(tensor => tensor.Name.StartsWith(prefix, StringComparison.Ordinal))
            .Select(tensor => tensor.Rename(tensor.Name[prefix.Length..]))
            .Where(tensor => !_trainingState.Any(name => tensor.Name.StartsWith(name, StringComparison.Ordinal))));
        return FromTensors(
            path, state.Tensors.ToDictionary(tensor => tensor.Name, tensor => tensor.ToTensor(torch.ScalarType.Float32)), options);
    }

    /// <summary>Whether a file holds such a classifier.</summary>
    /// <exception cref="UserException">The file cannot be read.</exception>
    public static bool Recognises(string path)
    {
        using var file = WeightFile.Open(path);
        return file.Tensors.Any(tensor => tensor.Name.EndsWith(PatchWeight, StringComparison.Ordinal));
    }

    /// <summary>Builds the model from named tensors, which it copies where it has to change them.</summary>
    /// <param name="source">Where they come from, for messages.</param>
    /// <param name="tensors">Float32 tensors by their names in timm.</param>
    /// <param name="options">What the tensors do not tell.</param>
    /// <exception cref="UserException">A tensor is missing, has a wrong shape, or belongs to no plain ViT.</exception>
    public static ClipModel FromTensors(
        string source, IReadOnlyDictionary<string, Tensor> tensors, VitClassifierOptions? options = null)
    {
        using var scope = torch.NewDisposeScope();
        using var names = new VitClassifierTensors(source, tensors);
        options ??= new();
        var weights = names.ToOpenClip().Place(options.Device, options.Type);
        try
        {
            return new ClipModel(Configure(source, names, options), weights, options.Backend);
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    private static ClipConfig Configure(string source, VitClassifierTensors tensors, VitClassifierOptions options)
    {
        var patch = tensors.Shape(PatchWeight, 4);
        var (width, side) = ((int)patch[0], (int)patch[2]);
        var heads = options.Heads ?? (width == 1280 ? 16 : Math.Max(1, width / 64));
        var positions = (int)tensors.Shape("pos_embed", 3)[1] - tensors.ClassTokens;
        var grid = (int)Math.Round(Math.Sqrt(positions));
        if (options.ImageSize is null && grid * grid != positions)
        {
            throw new UserException($"{source}: the position table is for {positions} patches, which fill no square; tell the image size.");
        }

        if (width % heads != 0)
        {
            throw new UserException($"{source}: {heads} heads do not divide its {width} channels; tell the number of heads.");
        }

        return new()
        {
            EmbedDim = (int)tensors.Shape("head.weight", 2)[0],
            Vision = new()
            {
                Layers = tensors.Layers,
                Width = width,
                HeadWidth = width / heads,
                MlpRatio = MlpRatios.Of((int)tensors.Shape("blocks.0.mlp.fc1.weight", 2)[0], width),
                PatchSize = side,
                ImageSize = options.ImageSize ?? (grid * side, grid * side),
                NoLnPre = !tensors.HasPreNorm,
                ClassTokens = tensors.ClassTokens,
                PoolType = tensors.PoolsPatches ? VisionPooling.Average : VisionPooling.ClassToken,
                FinalLnAfterPool = tensors.PoolsPatches,
                Epsilon = options.Epsilon,
            },
        };
    }
}
