using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Encoders.Text;

namespace RegCache.Lab.Training.Clip;

/// <summary>Decodes, crops, normalises and tokenizes pairs, on all cores.</summary>
/// <param name="pairs">The pairs.</param>
/// <param name="preprocess">How images become input.</param>
/// <param name="tokenizer">The model's tokenizer.</param>
/// <param name="augmentation">The random changes of the images.</param>
internal sealed class ClipBatchMaker(
    IPairSource pairs, PreprocessOptions preprocess, ITokenizer tokenizer, ImageAugmentation augmentation)
{
    private readonly ImagePreprocessor _preprocessor = new(preprocess);

    /// <summary>Number of pairs of the whole set.</summary>
    public int Count => pairs.Count;

    /// <summary>Makes a batch, which the caller disposes.</summary>
    /// <param name="indices">The pairs.</param>
    /// <param name="stream">Pair i of the batch draws its changes from fork i.</param>
    /// <param name="title">What the batch is called.</param>
    public ClipBatch Make(int[] indices, CounterRandom stream, string title)
    {
        var length = _preprocessor.OutputLength;
        var values = new float[indices.Length * length];
        try
        {
            Parallel.For(0, indices.Length, (int row) =>
            {
                using var image = pairs.LoadImage(indices[row]);
                var random = stream.Fork(row);
                Fill(image, ref random, values.AsSpan(row * length, length));
            });
        }
        catch (AggregateException exception) when (exception.InnerExceptions[0] is UserException cause)
        {
            throw new UserException(cause.Message, exception);
        }

        var ids = tokenizer.EncodeBatch([.. indices.Select(pairs.Caption)]);
        return new(
            torch.tensor(values, [indices.Length, 3, preprocess.Height, preprocess.Width]).DetachFromDisposeScope(),
            torch.tensor(ids, [indices.Length, tokenizer.ContextLength]).DetachFromDisposeScope(),
            $"{title}, first {pairs.Name(indices[0])}");
    }

    private void Fill(DecodedImage image, ref CounterRandom random, Span<float> planes)
    {
        using var rgbImage = image.ToRgb();
        if (augmentation.IsNone)
        {
            _preprocessor.ToPlanes(rgbImage, planes);
            return;
        }

        var pixels = new byte[_preprocessor.OutputLength];
        augmentation.Apply(rgbImage, _preprocessor, ref random, pixels);
        _preprocessor.Normalize(pixels, planes);
    }
}
