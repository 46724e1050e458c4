namespace RegCache.Lab.Data;

/// <summary>A labelled set of images in a fixed order, ready for a model: image i is the same in every pass.</summary>
public interface IImageSource
{
    /// <summary>Number of images.</summary>
    int Count { get; }

    /// <summary>Class index of every image; empty for a set without labels.</summary>
    IReadOnlyList<int> Labels { get; }

    /// <summary>Identifies the content and order of the set, as a hash in hexadecimal digits.</summary>
    string Fingerprint { get; }

    /// <summary>Reads the set in order, decoding ahead of the caller.</summary>
    /// <param name="batchSize">Images in a batch; the last one may be smaller.</param>
    /// <param name="firstBatch">Index of the batch to begin with, to go on with an interrupted pass.</param>
    /// <param name="cancellation">Stops the pass.</param>
    /// <returns>Batches of normalised images [B,3,H,W], float32 on the CPU, which the caller disposes.</returns>
    IEnumerable<ImageBatch> ReadBatches(int batchSize, int firstBatch = 0, CancellationToken cancellation = default);

    /// <summary>Reads single images, in the order asked for.</summary>
    /// <returns>Normalised images [B,3,H,W], float32 on the CPU, which the caller disposes.</returns>
    Tensor Read(IReadOnlyList<int> indices);
}
