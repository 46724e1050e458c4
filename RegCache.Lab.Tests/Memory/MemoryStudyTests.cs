using RegCache.Lab.Data.Retrieval;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Memory;

namespace RegCache.Lab.Tests.Memory;

/// <summary>A memory study from code: every model is measured whole, and what a student's files lack is the teacher's.</summary>
[Trait("Category", "Slow")]
public sealed class MemoryStudyTests : IDisposable
{
    private static readonly MemoryConfig _memory = new() { Blocks = [2, 4], SubKeys = 8, Heads = 2, Neighbours = 4, KeyWidth = 16, ValueWidth = 32 };

    private readonly TemporaryFolder _folder = new();
    private readonly DisposeScope _scope = torch.NewDisposeScope();
    private readonly List<Experiment> _experiments = [];

    public MemoryStudyTests()
    {
        using var teacher = LoadedClip.Load(ModelFolder.FindDemo());
        using var student = MemoryStudent.Of(teacher.Model, _memory, MemoryStart.Proper, seed: 5);
        ModelFolder.Save(student, _folder["student"], ModelFolder.Open(ModelFolder.FindDemo()));
        using var noGradient = torch.no_grad();
        // A finetuned model has another text tower than its teacher.
        student.Weights["text_projection"].add_(torch.randn_like(student.Weights["text_projection"]) * 0.05);
        student.Weights["logit_scale"].fill_(3);
        ModelFolder.Save(student, _folder["finetuned"], ModelFolder.Open(ModelFolder.FindDemo()));
    }

    public void Dispose()
    {
        _experiments.ForEach(experiment => experiment.Dispose());
        _scope.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void EveryModelIsMeasuredWithItsOwnTextTower()
    {
        using var set = RetrievalShapes.Entry.Open(split: "retrieval");
        using var measured = MemoryStudy.Measure(
            [new("teacher", Open()), new("distilled", Student("student")), new("finetuned", Student("finetuned"))], "shapes", "retrieval", set);
        Assert.Equal(["teacher", "distilled", "finetuned", "teacher", "distilled", "finetuned"], measured.Rows.Select(row => row.Model));
        foreach (var model in measured.Models)
        {
            using var alone = RetrievalShapes.Entry.Open(split: "retrieval");
            using var experiment = Experiment.Open(new() { WithoutImages = true, Model = model.Model.Experiment.Options.Model });
            var expected = RetrievalEvaluation.Run(experiment, alone);
            var rows = measured.Rows.Where(row => row.Model == model.Model.Role).ToList();
            Assert.Equal((expected.ImageToText.RecallAt1, expected.TextToImage.MeanRank), (rows[0].R1, rows[1].MeanRank));
        }

        GoldenTensors.AssertIdentical(measured.Models[1].Features.Images, measured.Models[2].Features.Images);
        Assert.NotEqual(measured.Models[1].Ranks.TextToImage.Ranks, measured.Models[2].Ranks.TextToImage.Ranks);
        var (teacher, distilled) = (measured.Models[0].Ranks.ImageToText.Ranks, measured.Models[1].Ranks.ImageToText.Ranks);
        Assert.Equal(
            (teacher.Zip(distilled).Count(pair => pair.First > 0 && pair.Second == 0), teacher.Zip(distilled).Count(pair => pair.First == 0 && pair.Second > 0)),
            (measured.Rows[1].Gained, measured.Rows[1].Lost));
        Assert.Equal(measured.Rows[1].R1Change, 100.0 * (measured.Rows[1].Gained - measured.Rows[1].Lost) / 500, 1e-9);
        Assert.NotEmpty(measured.Gaps(measured.Models[0]).Concat(measured.Gaps(measured.Models[1])).DefaultIfEmpty());
    }

    [Fact]
    public void ACheckpointOfAVisionTowerAloneTakesTheRestFromTheTeacher()
    {
        using (var file = WeightFile.Open(_folder["student", "open_clip_model.safetensors"]))
        {
            Directory.CreateDirectory(_folder["bare"]);
            SafetensorsWriter.Write(
                _folder["bare", "epoch_6.safetensors"],
                file.Tensors.Where(entry => entry.Name.StartsWith("visual.", StringComparison.Ordinal)).Select(entry => entry.Rename($"state_dict.module.{entry.Name}")));
        }

        using var set = RetrievalShapes.Entry.Open(split: "retrieval");
        var bare = Student(Path.Combine("bare", "epoch_6.safetensors"));
        Assert.Contains(bare.Assumptions, sentence => sentence.Contains("has no text tower and no logit scale", StringComparison.Ordinal));
        Assert.NotEqual(Student("student").Hash, bare.Hash);
        using var measured = MemoryStudy.Measure([new("teacher", Open()), new("whole", Student("student")), new("bare", bare)], "shapes", "retrieval", set);
        GoldenTensors.AssertIdentical(measured.Models[1].Features.Images, measured.Models[2].Features.Images);
        GoldenTensors.AssertIdentical(measured.Models[0].Features.Captions, measured.Models[2].Features.Captions);
    }

    [Fact]
    public void CostsCountWhatMemoriesReplace()
    {
        var rows = MemoryStudy.Costs([new("teacher", Open()), new("distilled", Student("student"))]);
        var report = MemoryReport.Of(_experiments[1].Model.Config);
        Assert.Equal(("", 0L, 0L), (rows[0].MemoryBlocks, rows[0].Net, rows[0].MemoryAdded));
        Assert.Equal(("2 4", report.Net, report.Table), (rows[1].MemoryBlocks, rows[1].Net, rows[1].Table));
        Assert.Equal(rows[0].VisionParameters + report.Net, rows[1].VisionParameters);
        Assert.True(rows[1].Gmacs < rows[0].Gmacs);
        Assert.Null(rows[0].ImagesPerSecond);
    }

    [Theory]
    [InlineData("coco", "coco", null, null)]
    [InlineData("coco@train2017", "coco", "train2017", null)]
    [InlineData("docci:/data/a:b", "docci", null, "/data/a:b")]
    [InlineData("flickr30k@test:/data/f", "flickr30k", "test", "/data/f")]
    public void SetsAreNamedInOneWord(string text, string name, string? split, string? root)
    {
        var address = RetrievalAddress.Parse(text);
        Assert.Equal((name, split, root), (address.Format.Name, address.Split, address.Root));
    }

    [Theory]
    [InlineData("cocoo")]
    [InlineData("shapes@dev")]
    [InlineData("coco:")]
    public void WrongNamesOfSetsAreRefused(string text) => Assert.Throws<UserException>(() => RetrievalAddress.Parse(text));

    private Experiment Open()
    {
        _experiments.Add(Experiment.Open(new() { WithoutImages = true }));
        return _experiments[^1];
    }

    private Experiment Student(string path)
    {
        _experiments.Add(Experiment.Open(MemoryStudy.StudentOptions(_folder[path], new() { WithoutImages = true })));
        return _experiments[^1];
    }
}
