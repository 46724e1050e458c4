using RegCache.Lab.Data;
using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Reports;
using RegCache.Lab.Tests.Data;

namespace RegCache.Lab.Tests.EndToEnd;

/// <summary>The same labelled images in every layout give the same results, and commands take each of them.</summary>
public sealed class ImageLayoutTests : IDisposable
{
    private const int Count = 192;
    private readonly TemporaryFolder _folder = new();
    private readonly string _folders;
    private readonly string _flat;
    private readonly string _shards;

    public ImageLayoutTests()
    {
        var set = ShapesSet.Generate(ShapesSplit.Test, Count);
        ShapesExport.Write(set, _folder["folders"], ShapesFormat.Folders, SilentProgress.Instance);
        ShapesExport.Write(set, _folder["shards"], ShapesFormat.WebDataset, SilentProgress.Instance);
        (_folders, _flat, _shards) = (_folder["folders", "test"], _folder["flat", "val"], _folder["shards", "test-{000000..000000}.tar"]);

        // All images in one folder, with Caffe's list of numbers and a list of what they mean.
        Directory.CreateDirectory(_flat);
        var images = Directory.GetFiles(_folders, "*.png", SearchOption.AllDirectories);
        Array.ForEach(images, image => File.Copy(image, Path.Combine(_flat, Path.GetFileName(image))));
        File.WriteAllLines(_folder["flat", "val.txt"], images.Select(image => $"{Path.GetFileName(image)} {int.Parse(Path.GetFileName(Path.GetDirectoryName(image)!)[..2])}"));
        File.WriteAllLines(_folder["flat", "classnames.txt"], ShapesVocabulary.Classes);
        File.WriteAllLines(_folder["shards", "classnames.txt"], ShapesVocabulary.Classes);
        File.WriteAllLines(_folder["shards", "zeroshot_classification_templates.txt"], ShapesVocabulary.Templates.Select(template => template.Replace("{}", "{c}")));
        File.WriteAllText(_folder["prompts.json"], $$"""
            {"classnames": [{{string.Join(", ", ShapesVocabulary.Classes.Select(name => $"\"{name}\""))}}],
             "templates": [{{string.Join(", ", ShapesVocabulary.Templates.Select(template => $"\"{template}\""))}}]}
            """);
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void TheSameImagesGiveTheSameAccuracyInEveryLayout()
    {
        var expected = Score($"shapes:{Count}", null);
        Assert.InRange(expected.Accuracy, 80, 100);
        Assert.Equal(Count, expected.Images);
        Assert.Equal(expected, Score(_folders, _folder["prompts.json"]));
        Assert.Equal(expected, Score(_flat, _folder["prompts.json"]));
        Assert.Equal(expected, Score($"labels:{_folder["flat", "val.txt"]}", _folder["prompts.json"]));
        // Names and templates come with the shards.
        Assert.Equal(expected, Score(_shards, null));
    }

    [Fact]
    public void SearchAndValidationMayLieInDifferentLayouts()
    {
        File.Delete(_folder["shards", "classnames.txt"]);
        using var experiment = Experiment.Open(new() { ValidationImages = _folders, SearchImages = _shards, Prompts = _folder["prompts.json"] });
        Assert.Contains("by numbers", Assert.Single(experiment.Assumptions, text => text.Contains("same order", StringComparison.Ordinal)), StringComparison.Ordinal);
        Assert.Equal(experiment.Validation.Labels.Order(), experiment.Search.Labels.Order());
    }

    [Theory]
    [InlineData("folders", "192 images in 48 class folders")]
    [InlineData("flat", "192 images in 48 classes")]
    [InlineData("shards", "192 images in 48 classes")]
    [InlineData("cifar", "3 images in 10 classes")]
    [Trait("Category", "Slow")]
    public void ClassificationTakesEveryLayout(string layout, string expected)
    {
        var address = layout switch
        {
            "folders" => _folders,
            "flat" => _flat,
            "shards" => _shards,
            _ => $"cifar:{CifarFiles.WriteBinary10(_folder.Root)}",
        };
        string[] prompts = layout is "cifar" or "shards" ? [] : ["--prompts", _folder["prompts.json"]];
        var (code, output, error) = ExternalProcess.Run(
            ExternalProcess.Regcache,
            ["eval", "classification", "--model", ModelFolder.FindDemo(), "--imagenet-val", address, .. prompts, "--bits", "W8A8", "--run-dir", _folder["run"]]);
        Assert.True(code == 0, output + error);
        Assert.Contains(expected, error, StringComparison.Ordinal);
        Assert.Contains(expected, File.ReadAllText(_folder["run", "result.json"]), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("cifar:{0}", "holds no CIFAR files")]
    [InlineData("{0}/shard-{{0..3}}.tar", "shard-0.tar does not exist")]
    [InlineData("labels:{0}/val.txt", "val.txt does not exist")]
    [InlineData("cifar@val:{0}", "holds no CIFAR files")]
    [InlineData("{0}/nowhere", "does not exist")]
    [Trait("Category", "Slow")]
    public void WhatIsMissingIsOneSentence(string address, string expected)
    {
        var (code, output, error) = ExternalProcess.Run(
            ExternalProcess.Regcache,
            ["eval", "classification", "--model", ModelFolder.FindDemo(), "--imagenet-val", string.Format(address, _folder.Root), "--run-dir", _folder["run"]]);
        Assert.Equal(2, code);
        Assert.Contains(expected, error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", output + error, StringComparison.Ordinal);
        Assert.False(Directory.Exists(_folder["run"]));
    }

    private static PlanScore Score(string address, string? prompts)
    {
        using var experiment = Experiment.Open(new() { ValidationImages = address, Prompts = prompts });
        return experiment.Evaluate(EncoderPlan.Plain(experiment.Tower.Blocks.Count)).Single();
    }
}
