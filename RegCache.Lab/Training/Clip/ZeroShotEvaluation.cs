using System.Globalization;
using RegCache.Lab.Data;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Text;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Training.Clip;

/// <summary>
/// Zero-shot accuracy on labelled images while a model is trained: the classifier is made anew of the text tower as it is, from all templates of
/// every class (docs/methods/clip.md, "Zero-shot classification"). Names and the line of the log are OpenCLIP's.
/// </summary>
/// <param name="images">The images; the caller disposes their set.</param>
/// <param name="prompts">Names of the classes, in the order of the labels, and templates.</param>
/// <param name="tokenizer">The model's tokenizer.</param>
/// <param name="batchSize">Images in a batch.</param>
/// <param name="progress">Told of the pass, and of the result in one line.</param>
/// <param name="cancellation">Stops at the next batch.</param>
public sealed class ZeroShotEvaluation(
    IImageSource images, PromptSet prompts, ITokenizer tokenizer, int batchSize, IWorkProgress progress, CancellationToken cancellation = default)
{
    /// <summary>The name of the top-1 accuracy, a share from 0 to 1.</summary>
    public const string Top1 = "imagenet-zeroshot-val-top1";

    /// <summary>The name of the top-5 accuracy, a share from 0 to 1.</summary>
    public const string Top5 = "imagenet-zeroshot-val-top5";

    /// <summary>The processes that share the images.</summary>
    public IProcessGroup Processes { get; init; } = SingleProcess.Instance;

    /// <summary>The prompts of a set: those of a file, or the set's own names and templates where there is none.</summary>
    /// <param name="set">The labelled images.</param>
    /// <param name="path">A file of names and templates, or of templates alone; null: none.</param>
    /// <exception cref="UserException">The file cannot be read, or names another number of classes than the set has.</exception>
    public static PromptSet PromptsOf(ImageSet set, string? path)
    {
        var own = new PromptSet { ClassNames = set.ClassNames, Templates = set.Templates.Count > 0 ? set.Templates : PromptSet.DefaultTemplates };
        if (path is null)
        {
            return own;
        }

        var read = PromptSet.Load(path);
        return read.ClassNames.Count == 0 ? own with { Templates = read.Templates }
            : read.ClassNames.Count == set.ClassNames.Count ? read
            : throw new UserException(
                $"{path} names {read.ClassNames.Count} classes, but there are {set.ClassesInWords} in {set.Inventory.Source}; use the prompts that belong to these images (`prompts`).");
    }

    /// <summary>Measures a model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="epoch">Epochs that it has been trained, for the log.</param>
    /// <returns><see cref="Top1"/> and <see cref="Top5"/> under <c>val/</c>.</returns>
    /// <exception cref="UserException">An image cannot be read, or the model has no text tower.</exception>
    public IReadOnlyDictionary<string, double> Run(ClipModel model, double epoch)
    {
        var text = model.Text ?? throw new UserException("The model has no text tower to embed class names with; leave `imagenet_val` out.");
        using var classifier = ZeroShotClassifier.FromPrompts(
            text,
            words => torch.tensor(tokenizer.EncodeBatch(words), [words.Count, tokenizer.ContextLength]).to(text.Placement),
            prompts.ClassNames,
            prompts.Templates);
        var score = PlanEvaluation.Run(
            model.ImageTower,
            classifier,
            images,
            new([EncoderPlan.Plain(model.ImageTower.PlannedBlocks)]),
            new("zero-shot", batchSize) { Progress = progress, Cancellation = cancellation, Processes = Processes })[0];
        var (top1, top5) = (score.Accuracy / 100, score.AccuracyTop5 / 100);
        progress.Message(string.Create(CultureInfo.InvariantCulture, $"Eval Epoch: {epoch:0.##} {Top1}: {top1:0.0000} {Top5}: {top5:0.0000}"));
        return new OrderedDictionary<string, double> { [$"val/{Top1}"] = top1, [$"val/{Top5}"] = top5 };
    }
}
