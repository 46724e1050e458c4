using RegCache.Lab.Data.Images;

namespace RegCache.Lab.Data;

/// <summary>A set of images with captions, for training. May be read from several threads.</summary>
public interface IPairSource : IDisposable
{
    /// <summary>Number of pairs.</summary>
    int Count { get; }

    /// <summary>Identifies the content and order of the set.</summary>
    string Fingerprint { get; }

    /// <summary>What a pair is called in messages: a path, or a shard and a member.</summary>
    string Name(int index);

    /// <summary>Decodes an image; the caller disposes it.</summary>
    /// <exception cref="UserException">The image is missing or damaged; the message names it.</exception>
    DecodedImage LoadImage(int index);

    /// <summary>The caption of an image.</summary>
    string Caption(int index);
}
