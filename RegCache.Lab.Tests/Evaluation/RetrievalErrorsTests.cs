using System.Text.Json;
using RegCache.Lab.Data.Retrieval;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Tests.Data.Retrieval;

namespace RegCache.Lab.Tests.Evaluation;

/// <summary>Failing queries and what a student finds, against plain loops over all scores.</summary>
public sealed class RetrievalErrorsTests : IDisposable
{
    private const int Depth = 3;
    private const int Shown = 4;

    private readonly TemporaryFolder _folder = new();
    private readonly DisposeScope _scope = torch.NewDisposeScope();
    private readonly RetrievalSet _set;

    public RetrievalErrorsTests()
    {
        RetrievalLayouts.All["coco"](_folder.Root, 20);
        _set = CocoCaptions.Entry.Open(_folder.Root);
        torch.manual_seed(3);
    }

    public void Dispose()
    {
        _set.Dispose();
        _scope.Dispose();
        _folder.Dispose();
    }

    [Fact]
    public void QueriesOutsideTheBestAreListedWithWhatWasFound()
    {
        var features = Features();
        var errors = RetrievalErrors.Of(_set, features, features.Rank(), Depth, Shown);
        var scores = Scores(features);
        var captions = Enumerable.Range(0, _set.Captions.Count).ToList();
        foreach (var image in Enumerable.Range(0, _set.Count))
        {
            var own = captions.Where(caption => _set.Captions[caption].Image == image).Max(caption => scores[image, caption]);
            var rank = 1 + captions.Count(caption => scores[image, caption] > own);
            var error = errors.SingleOrDefault(error => error.Direction == "image to text" && error.Idx == image);
            Assert.Equal(rank > Depth ? rank : null, error?.GtRank);
            if (error is not null)
            {
                Assert.Equal(captions.OrderByDescending(caption => scores[image, caption]).Take(Shown), error.Retrieved.Select(item => item.Idx));
                Assert.All(error.Retrieved.Take(Depth), item => Assert.False(item.Right));
                Assert.All(error.Retrieved, item => Assert.Equal((_set.Captions[item.Idx].Text, scores[image, item.Idx]), (item.Caption, (float)item.Score)));
                Assert.Equal(_set.Name(image), error.Key);
            }
        }

        foreach (var caption in captions)
        {
            var own = scores[_set.Captions[caption].Image, caption];
            var rank = 1 + Enumerable.Range(0, _set.Count).Count(image => scores[image, caption] > own);
            var error = errors.SingleOrDefault(error => error.Direction == "text to image" && error.Idx == caption);
            Assert.Equal(rank > Depth ? rank : null, error?.GtRank);
            Assert.Equal(error is null ? null : _set.Captions[caption].Text, error?.Caption);
        }

        Assert.Contains(errors, error => error.Direction == "image to text");
        Assert.Contains(errors, error => error.Direction == "text to image");
    }

    [Fact]
    public void AGapIsWhatTheTeacherFailsAndTheStudentAnswersWorstFirst()
    {
        var (teacher, student) = (Features(), Features());
        var (before, after) = (teacher.Rank(), student.Rank());
        var gaps = RetrievalErrors.Gaps(_set, (teacher, before), (student, after), Depth, Shown);
        foreach (var (direction, of) in new (string, Func<RetrievalRanks, RankList>)[] { ("image to text", ranks => ranks.ImageToText), ("text to image", ranks => ranks.TextToImage) })
        {
            var (old, found) = (of(before).Ranks, of(after).Ranks);
            var own = gaps.Where(gap => gap.Direction == direction).ToList();
            Assert.NotEmpty(own);
            Assert.Equal(Enumerable.Range(0, old.Count).Where(query => old[query] >= Depth && found[query] < Depth).Order(), own.Select(gap => gap.Idx).Order());
            Assert.Equal(own.Select(gap => gap.TeacherRank).OrderDescending(), own.Select(gap => gap.TeacherRank));
            Assert.All(own, gap => Assert.Equal((old[gap.Idx] + 1, found[gap.Idx] + 1), (gap.TeacherRank, gap.StudentRank)));
            Assert.All(own, gap => Assert.DoesNotContain(gap.Teacher.Take(Depth), item => item.Right));
            Assert.All(own, gap => Assert.Contains(gap.Student.Take(Depth), item => item.Right));
        }
    }

    [Fact]
    public void FilesHaveALineAQuery()
    {
        var features = Features();
        var errors = RetrievalErrors.Of(_set, features, features.Rank(), Depth, Shown);
        RetrievalErrors.Write(_folder["errors.jsonl"], errors);
        var lines = File.ReadAllLines(_folder["errors.jsonl"]).Select(line => JsonDocument.Parse(line).RootElement).ToList();
        Assert.Equal(errors.Select(error => error.GtRank), lines.Select(line => line.GetProperty("gt_rank").GetInt64()));
        Assert.Equal(["idx", "key", "caption", "score", "right"], lines[0].GetProperty("retrieved")[0].EnumerateObject().Select(field => field.Name));
    }

    private RetrievalFeatures Features()
    {
        Tensor Random(int count) => torch.nn.functional.normalize(torch.randn(count, 8), dim: 1);
        int[] captions = [.. Enumerable.Range(0, _set.Captions.Count)];
        return new(
            Random(_set.Count), Random(captions.Length), [.. Enumerable.Range(0, _set.Count)], captions, [.. _set.Captions.Select(caption => caption.Image)]);
    }

    private float[,] Scores(RetrievalFeatures features)
    {
        var all = features.Images.matmul(features.Captions.t()).contiguous().data<float>().ToArray();
        var scores = new float[_set.Count, _set.Captions.Count];
        Buffer.BlockCopy(all, 0, scores, 0, all.Length * sizeof(float));
        return scores;
    }
}
