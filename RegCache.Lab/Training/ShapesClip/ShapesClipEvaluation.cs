using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Training.ShapesClip;

/// <summary>Zero-shot accuracy over the 48 classes.</summary>
/// <param name="images">Labelled images.</param>
public sealed class ShapesClipEvaluation(ShapesSet images)
{
    private const int BatchSize = 64;

    /// <summary>The classifier of a model: every class's prompts, averaged.</summary>
    public static ZeroShotClassifier Classifier(ClipModel model) => ZeroShotClassifier.FromPrompts(
        model.Text!, Tokenize, ShapesVocabulary.Classes, ShapesVocabulary.Templates);

    /// <summary>Texts as ids [B,context], int64.</summary>
    public static Tensor Tokenize(IReadOnlyList<string> texts)
    {
        var tokenizer = ShapesClipArchitecture.Tokenizer;
        return torch.tensor(tokenizer.EncodeBatch(texts), [texts.Count, tokenizer.ContextLength]);
    }

    /// <summary>Measures <c>val/top1</c> and <c>val/top5</c>, in percent.</summary>
    public IReadOnlyDictionary<string, double> Run(ClipModel model)
    {
        using var noGradient = torch.no_grad();
        using var classifier = Classifier(model);
        var tree = new PlanTree([EncoderPlan.Plain(model.Vision.Blocks.Count)]);
        var score = PlanEvaluation.Run(
            model.Vision, classifier, new ShapesImageSource(images), tree, new("validation", BatchSize))[0];
        return new Dictionary<string, double> { ["val/top1"] = score.Accuracy, ["val/top5"] = score.AccuracyTop5 };
    }
}
