using RegCache.Lab.Data;
using RegCache.Lab.Reports;
using RegCache.Lab.Tests.Data.Images;

namespace RegCache.Lab.Tests.Data;

public sealed class TrainingSampleTests : IDisposable
{
    private readonly ScratchFolder _scratch = new();

    public TrainingSampleTests()
    {
        foreach (var (label, count) in new[] { ("a", 20), ("b", 20), ("c", 3) })
        {
            for (var image = 0; image < count; image++)
            {
                _scratch.Write([(byte)image], "train", label, $"{image:D2}.jpg");
            }
        }
    }

    private string Training => _scratch.Path("train");

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public void EveryClassGivesItsImagesAndCalibrationTakesOthers()
    {
        var sample = Draw(new(5, 10));
        Assert.Equal([("a", 5), ("b", 5), ("c", 3)], sample.Search.GroupBy(path => path[..1]).Select(group => (group.Key, group.Count())));
        Assert.Equal(10, sample.CalibrationImages.Distinct().Count());
        Assert.Empty(sample.Search.Intersect(sample.CalibrationImages));
        Assert.Contains("c (3)", Assert.Single(sample.Notes), StringComparison.Ordinal);
    }

    [Fact]
    public void TheSeedDecidesAndNothingElse()
    {
        var sample = Draw(new(5, 10));
        Assert.Equal(sample.Search, Draw(new(5, 10)).Search);
        Assert.Equal(sample.CalibrationImages, Draw(new(5, 10)).CalibrationImages);
        Assert.NotEqual(sample.Search, Draw(new(5, 10, Seed: 1)).Search);
        Assert.NotEqual(sample.CalibrationImages, Draw(new(5, 10, Seed: 1)).CalibrationImages);
        // Where the folder lies does not matter, and a larger sample holds the smaller one.
        Directory.Move(Training, _scratch.Path("moved"));
        using var moved = ClassFolderDataset.OpenClasses(_scratch.Path("moved"));
        var larger = TrainingSample.Draw(moved, new(8, 10), SilentProgress.Instance);
        Assert.Subset(larger.Search.ToHashSet(), sample.Search.ToHashSet());
    }

    [Fact]
    public void OneMoreImageChangesAtMostOneOfItsClass()
    {
        var before = Draw(new(5, 10)).Search;
        _scratch.Write([1], "train", "a", "new.jpg");
        var after = Draw(new(5, 10)).Search;
        Assert.InRange(before.Except(after).Count(), 0, 1);
        Assert.DoesNotContain(before.Except(after), path => path[0] != 'a');
    }

    [Fact]
    public void TheDrawingIsUniform()
    {
        var counts = new int[20];
        for (var seed = 0; seed < 400; seed++)
        {
            foreach (var path in Draw(new(5, 1, seed)).Search.Where(path => path[0] == 'a'))
            {
                counts[int.Parse(path[2..4])]++;
            }
        }

        // Each of 20 images is expected 100 times, with a deviation of 8.7.
        Assert.All(counts, count => Assert.InRange(count, 60, 140));
    }

    [Fact]
    public void WhatIsNotThereCannotBeDrawn()
    {
        var sample = Draw(new(18, 100));
        Assert.Equal(39, sample.Search.Count);
        Assert.Equal(43, sample.CalibrationImages.Count);
        Assert.Equal(3, sample.Notes.Count);
        Assert.Contains("43 instead of 100", sample.Notes[1], StringComparison.Ordinal);
        Assert.Contains("39 images of the calibration set are in the sample too", sample.Notes[2], StringComparison.Ordinal);
        Assert.Throws<UserException>(() => Draw(new(0, 1)));
    }

    [Fact]
    public void AFileIsTakenOnceWhateverLinksLeadToIt()
    {
        for (var link = 0; link < 30; link++)
        {
            File.CreateSymbolicLink(_scratch.Path("train", "c", $"link{link}.jpg"), link < 20 ? "00.jpg" : "nowhere.jpg");
        }

        Directory.CreateSymbolicLink(_scratch.Path("train", "d"), _scratch.Path("train", "c"));
        var sample = Draw(new(10, 43));
        Assert.Equal(3, sample.Search.Count(path => path[0] is 'c' or 'd'));
        Assert.Equal(43, sample.CalibrationImages.Count);
        Assert.Contains(sample.Notes, note => note.Contains("links that lead to no file: 20", StringComparison.Ordinal));
        Assert.Contains(sample.Notes, note => note.Contains("links to files that are there already: 43", StringComparison.Ordinal));
    }

    private TrainingSample Draw(TrainingSampleOptions options)
    {
        using var source = ClassFolderDataset.OpenClasses(Training);
        return TrainingSample.Draw(source, options, SilentProgress.Instance);
    }
}
