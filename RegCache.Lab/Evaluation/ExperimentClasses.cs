using RegCache.Lab.Data;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Text;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Evaluation;

/// <summary>The classes of an experiment: their names, from a prompt file or the images, and the classifier made of them.</summary>
internal sealed class ExperimentClasses
{
    private readonly ExperimentOptions _options;
    private readonly ImageSet? _set;
    private readonly IReadOnlyList<string> _ofImages;
    private readonly PromptSet? _prompts;

    /// <summary>Finds the names of the classes.</summary>
    /// <exception cref="UserException">The prompt file cannot be read, or nothing names classes for its templates.</exception>
    public ExperimentClasses(ExperimentOptions options, ExperimentImages images)
    {
        (_options, _set) = (options, images.OfClasses);
        _ofImages = options.WithoutImages ? [] : _set?.ClassNames ?? ShapesVocabulary.Classes;
        _prompts = options.Classifier is not null || (options.WithoutImages && options.Prompts is null) ? null : Prompts();
        Names = _prompts?.ClassNames ?? _ofImages;
    }

    /// <summary>The names of the classes, in the order of the labels.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>Makes the classifier: loads the one that is named, takes a plain classifier's logits, or embeds the prompts.</summary>
    /// <param name="model">The model.</param>
    /// <param name="clip">The same as a CLIP model; null: it is a plain ViT classifier.</param>
    /// <param name="progress">Told of the classes that are embedded.</param>
    /// <param name="path">Where one that is made from prompts is kept; null: nowhere.</param>
    /// <exception cref="UserException">It does not fit the model or the images, or the model has no text tower.</exception>
    public ZeroShotClassifier MakeClassifier(ClipModel model, LoadedClip? clip, IWorkProgress progress, string? path)
    {
        var device = model.ImageTower.Placement.Device;
        if (_options.Classifier is { } file)
        {
            var loaded = ZeroShotClassifier.Load(file, model.Config.EmbedDim, device);
            RequireClasses(loaded.Classes, file);
            return loaded;
        }

        if (clip is null)
        {
            // The features of a plain ViT classifier are the logits already.
            RequireClasses(model.Config.EmbedDim, _options.Model);
            return new(torch.eye(model.Config.EmbedDim, device: device));
        }

        var prompts = _prompts
            ?? throw new UserException("There are no classes to score: give class names (--prompts FILE) or a ready classifier (--classifier FILE).");
        RequireClasses(prompts.ClassNames.Count, _options.Prompts);
        var classifier = Embed(clip, prompts, progress);
        if (path is not null)
        {
            classifier.Save(path);
        }

        return classifier;
    }

    private ZeroShotClassifier Embed(LoadedClip clip, PromptSet prompts, IWorkProgress progress)
    {
        var text = clip.Model.Text
            ?? throw new UserException("The model has no text tower to embed class names with; give a ready classifier (--classifier FILE).");
        var tokenizer = clip.RequireTokenizer();
        if (_options.Prompts is null && _set?.ClassesCalledAfter is { } things)
        {
            progress.Message($"Classes are named after {things} (--prompts FILE gives names and templates).");
        }

        using var display = progress.Start("zero-shot classifier", prompts.ClassNames.Count, "classes");
        return ZeroShotClassifier.FromPrompts(
            text,
            texts => torch.tensor(tokenizer.EncodeBatch(texts), [texts.Count, tokenizer.ContextLength]).to(text.Placement),
            prompts.ClassNames,
            prompts.Templates,
            done => display.Report(done));
    }

    private PromptSet Prompts()
    {
        if (_options.Prompts is not { } path)
        {
            var templates = _set is null ? ShapesVocabulary.Templates : _set.Templates.Count > 0 ? _set.Templates : PromptSet.DefaultTemplates;
            return new() { ClassNames = _ofImages, Templates = templates };
        }

        // A file may hold templates alone.
        var prompts = PromptSet.Load(path);
        return prompts.ClassNames.Count > 0 ? prompts
            : _ofImages.Count > 0 ? prompts with { ClassNames = _ofImages }
            : throw new UserException($"{path} has no `classnames`, and there are no images to name classes after; add them.");
    }

    private void RequireClasses(int classes, string? source)
    {
        if (!_options.WithoutImages && classes != _ofImages.Count)
        {
            throw new UserException(
                $"There are {_set?.ClassesInWords ?? $"{_ofImages.Count} classes"}, but {source} has {classes} classes; use the one that belongs to these images.");
        }
    }
}
