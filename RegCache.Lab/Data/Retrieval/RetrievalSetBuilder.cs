using RegCache.Lab.Reports;

namespace RegCache.Lab.Data.Retrieval;

/// <summary>
/// Makes a set of image files from annotations, entry by entry, and checks it: images exist, numbers belong to one thing each, captions
/// say something. What is left out is counted with the entries that it came from.
/// </summary>
/// <param name="request">What is listed.</param>
internal sealed class RetrievalSetBuilder(RetrievalRequest request)
{
    private readonly List<RetrievalImage> _images = [];
    private readonly List<string> _firstEntries = [];
    private readonly List<int> _captionCounts = [];
    private readonly List<RetrievalCaption> _captions = [];
    private readonly Dictionary<string, int> _places = [];
    private readonly Dictionary<(string Kind, long Id), string> _ids = [];
    private readonly HashSet<string> _known = [];
    private readonly List<string> _warnings = [];
    private readonly LeftOutCounter _leftOut = new();

    /// <summary>Whether every entry of the annotations is another image, so that one that comes again is worth a warning.</summary>
    public bool OneEntryAnImage { get; init; }

    /// <summary>The most captions that are taken of an image, the first ones.</summary>
    public int MostCaptions { get; init; } = int.MaxValue;

    /// <summary>Adds a caption, and its image where that is new.</summary>
    /// <param name="entry">The entry of the annotations, for messages: a file and a place in it.</param>
    /// <param name="image">Path of the image.</param>
    /// <param name="text">The caption; one without letters is left out.</param>
    /// <param name="imageId">The image's number; null: its place.</param>
    /// <param name="captionId">The caption's number; null: its place.</param>
    /// <exception cref="UserException">Two images have one number, or one image has two.</exception>
    public void Add(string entry, string image, string text, long? imageId = null, long? captionId = null)
    {
        if (string.IsNullOrWhiteSpace(text))
        {
            LeaveOut("empty captions", entry);
            return;
        }

        var place = Place(entry, image, imageId);
        if (_captionCounts[place] == MostCaptions)
        {
            LeaveOut($"captions beyond the first {MostCaptions} of their image", entry);
            return;
        }

        _captionCounts[place]++;
        _captions.Add(new(text, place, captionId ?? _captions.Count));
    }

    /// <summary>Refuses a number that another thing of its kind has.</summary>
    /// <param name="kind">What is numbered.</param>
    /// <param name="id">The number.</param>
    /// <param name="entry">The entry that has it.</param>
    /// <exception cref="UserException">An earlier entry has it.</exception>
    public void RequireNew(string kind, long id, string entry)
    {
        if (!_ids.TryAdd((kind, id), entry))
        {
            throw new UserException($"{entry} has the {kind} id {id}, which {_ids[(kind, id)]} has already: mend the annotations, for one of them would get lost.");
        }
    }

    /// <summary>Counts something that is not taken.</summary>
    public void LeaveOut(string reason, string example) => _leftOut.Add(reason, example);

    /// <summary>Adds a sentence about what looks wrong.</summary>
    public void Warn(string sentence) => _warnings.Add(sentence);

    /// <summary>Says that an image file belongs to another part of the set, so that it is no stray one.</summary>
    public void Know(string image) => _known.Add(image);

    /// <summary>The set.</summary>
    /// <param name="source">The annotations, for messages.</param>
    /// <exception cref="UserException">It is empty, or an image is missing.</exception>
    public RetrievalSet Build(string source)
    {
        if (_captions.Count == 0)
        {
            var reasons = _leftOut.Reasons.Count == 0 ? "it names none" : $"left out: {string.Join("; ", _leftOut.Reasons)}";
            throw new UserException($"{source} has no image with a caption: {reasons}.");
        }

        CheckFiles();
        _warnings.AddRange(CaptionCheck.Warnings(_captions.Count, caption => _captions[caption].Text));
        return new RetrievalFiles(
            request.Root,
            _images,
            _captions,
            new(source, $"{_images.Count} images with {_captions.Count} captions", _leftOut.Reasons, _warnings));
    }

    private int Place(string entry, string image, long? imageId)
    {
        if (!_places.TryGetValue(image, out var place))
        {
            if (imageId is { } id)
            {
                RequireNew("image", id, entry);
            }

            place = _images.Count;
            _places.Add(image, place);
            _images.Add(new(image, imageId ?? place));
            _firstEntries.Add(entry);
            _captionCounts.Add(0);
        }
        else if (imageId is { } other && other != _images[place].Id)
        {
            throw new UserException(
                $"{entry} gives {image} the image id {other}, but {_firstEntries[place]} gives it {_images[place].Id}: mend the annotations.");
        }
        else if (OneEntryAnImage)
        {
            Warn($"{entry} names {image} again, as {_firstEntries[place]} does: its caption counts as a further one of that image.");
        }

        return place;
    }

    // One listing of every folder answers for all images in it.
    private void CheckFiles()
    {
        var (missing, firstMissing) = (0, -1);
        foreach (var folder in Enumerable.Range(0, _images.Count).GroupBy(image => Path.GetDirectoryName(_images[image].Path)!))
        {
            request.Cancellation.ThrowIfCancellationRequested();
            var listing = Directory.Exists(folder.Key) ? FolderListing.Read(folder.Key, $"The folder {folder.Key}") : new([], [], []);
            var files = listing.Files.Concat(listing.Hidden).ToHashSet();
            foreach (var image in folder.Where(image => !files.Contains(Path.GetFileName(_images[image].Path))))
            {
                missing++;
                firstMissing = firstMissing < 0 ? image : Math.Min(firstMissing, image);
            }

            foreach (var name in ImageFiles.Take(listing, folder.Key, request.Root, new()))
            {
                var path = Path.Combine(folder.Key, name);
                if (!_places.ContainsKey(path) && !_known.Contains(path))
                {
                    LeaveOut("images that no caption names", Path.GetRelativePath(request.Root, path));
                }
            }
        }

        if (missing > 0 && !request.SkipBadImages)
        {
            throw new UserException(
                $"{_firstEntries[firstMissing]} names the image {_images[firstMissing].Path}, which does not exist ({missing} of {_images.Count} images are missing): " +
                "put the images there, or leave such images out (--skip-bad-images).");
        }
    }
}
