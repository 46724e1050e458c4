using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Encoders.Text;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Reports;
using TorchSharp;
using Tensor = TorchSharp.torch.Tensor;

namespace RegCache.Lab.Cli.Commands;

/// <summary>The zero-shot classifier of a run: a ready one from a file, or one made from prompts.</summary>
internal static class ClassifierSetup
{
    private const string TensorName = "classifier";

    /// <summary>Makes or loads the classifier; one that was made is kept in the run directory for <c>--classifier</c>.</summary>
    /// <exception cref="UserException">It does not fit the model or the class folders, or the model has no text tower.</exception>
    public static ZeroShotClassifier Make(
        LoadedClip clip, ModelSettings model, ClassFolderDataset folders, RunDirectory directory)
    {
        var classifier = model.Classifier is { } path ? Load(path, clip) : FromPrompts(clip, model, folders.ClassNames, directory);
        if (classifier.Classes != folders.ClassNames.Count)
        {
            throw new UserException(
                $"There are {folders.ClassesInWords}, but {model.Classifier ?? model.Prompts} has {classifier.Classes} classes; use the one that belongs to these folders.");
        }

        return classifier;
    }

    private static ZeroShotClassifier Load(string path, LoadedClip clip)
    {
        using var file = WeightFile.Open(path);
        var entry = file.Tensors.FirstOrDefault(tensor => tensor.Name == TensorName)
            ?? throw new UserException($"{path} has no tensor `{TensorName}`; give a file that holds one of shape [E, classes].");
        var width = clip.Model.Config.EmbedDim;
        if (entry.Shape is not [var rows, _] || rows != width)
        {
            throw new UserException(
                $"{path}: `{TensorName}` has shape [{string.Join(", ", entry.Shape)}], but the model's features have {width} channels; give a classifier of shape [{width}, classes].");
        }

        return new(entry.ToTensor(torch.ScalarType.Float32).to(clip.Model.Vision.Placement.Device));
    }

    private static ZeroShotClassifier FromPrompts(
        LoadedClip clip, ModelSettings model, IReadOnlyList<string> classFolders, RunDirectory directory)
    {
        var text = clip.Model.Text
            ?? throw new UserException("The model has no text tower to embed class names with; give a ready classifier (--classifier FILE).");
        var tokenizer = clip.RequireTokenizer();
        var prompts = model.Prompts is { } path ? PromptSet.Load(path) : new PromptSet();
        if (prompts.ClassNames.Count == 0)
        {
            prompts = prompts with { ClassNames = classFolders };
            directory.Progress.Message("Classes are named after their folders (--prompts FILE gives names and templates).");
        }

        Tensor Tokenize(IReadOnlyList<string> texts) =>
            torch.tensor(tokenizer.EncodeBatch(texts), [texts.Count, tokenizer.ContextLength]).to(text.Placement);

        using var progress = directory.Progress.Start("zero-shot classifier", prompts.ClassNames.Count, "classes");
        var classifier = ZeroShotClassifier.FromPrompts(
            text, Tokenize, prompts.ClassNames, prompts.Templates, done => progress.Report(done));
        var weights = classifier.Weights.cpu().contiguous();
        SafetensorsWriter.Write(
            directory.PathOf("classifier.safetensors"),
            [WeightEntry.FromValues<float>(TensorName, weights.data<float>().ToArray(), weights.shape)]);
        return classifier;
    }
}
