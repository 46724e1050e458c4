using System.Text.Encodings.Web;
using System.Text.Json;
using RegCache.Lab.Data.Retrieval;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Evaluation;

/// <summary>
/// What retrieval gets wrong, query by query, and which of a teacher's failures a student does not share. All ranks here count from 1:
/// 1 plus the number of strictly more similar wrong answers (docs/methods/memory.md, "What a student finds").
/// </summary>
public static class RetrievalErrors
{
    private const int QueriesAtOnce = 256;

    private static readonly JsonSerializerOptions _line = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>The queries of both directions whose right answer is not among the best.</summary>
    /// <param name="set">The set.</param>
    /// <param name="features">A model's features of it.</param>
    /// <param name="ranks">Their ranks.</param>
    /// <param name="depth">How many answers are looked at, K: a query fails whose right answer has a rank above it.</param>
    /// <param name="shown">How many answers of a query are kept.</param>
    /// <returns>The queries in the order of the set, images first.</returns>
    public static IReadOnlyList<RetrievalError> Of(
        RetrievalSet set, RetrievalFeatures features, RetrievalRanks ranks, int depth = 5, int shown = 10)
    {
        var errors = new List<RetrievalError>();
        foreach (var side in Side.Both(set, features, ranks))
        {
            int[] failed = [.. Enumerable.Range(0, side.Ranks.Count).Where(query => side.Ranks[query] > depth)];
            errors.AddRange(failed.Zip(side.Best(failed, shown), (query, retrieved) =>
            {
                var (index, key, caption) = side.QueryOf(query);
                return new RetrievalError(side.Direction, index, key, caption, side.Ranks[query], retrieved);
            }));
        }

        return errors;
    }

    /// <summary>The queries of both directions that a teacher fails and a student answers.</summary>
    /// <param name="set">The set.</param>
    /// <param name="teacher">The teacher's features of it, and their ranks.</param>
    /// <param name="student">The student's, of the same images and captions.</param>
    /// <param name="depth">How many answers are looked at, K.</param>
    /// <param name="shown">How many answers of a query are kept.</param>
    /// <returns>The queries, those first that the teacher ranks lowest; images before captions.</returns>
    /// <exception cref="ArgumentException">The two are of other images or captions.</exception>
    public static IReadOnlyList<RetrievalGap> Gaps(
        RetrievalSet set,
        (RetrievalFeatures Features, RetrievalRanks Ranks) teacher,
        (RetrievalFeatures Features, RetrievalRanks Ranks) student,
        int depth = 5,
        int shown = 10)
    {
        if (!teacher.Features.ImageRows.SequenceEqual(student.Features.ImageRows) || !teacher.Features.CaptionRows.SequenceEqual(student.Features.CaptionRows))
        {
            throw new ArgumentException("The features are of other images or captions than the teacher's.", nameof(student));
        }

        var gaps = new List<RetrievalGap>();
        foreach (var (before, after) in Side.Both(set, teacher.Features, teacher.Ranks).Zip(Side.Both(set, student.Features, student.Ranks)))
        {
            int[] found =
            [
                .. Enumerable.Range(0, before.Ranks.Count)
                    .Where(query => before.Ranks[query] > depth && after.Ranks[query] <= depth)
                    .OrderByDescending(query => before.Ranks[query]),
            ];
            var (ofTeacher, ofStudent) = (before.Best(found, shown), after.Best(found, shown));
            gaps.AddRange(found.Select((query, place) =>
            {
                var (index, key, caption) = before.QueryOf(query);
                return new RetrievalGap(
                    before.Direction, index, key, caption, before.Ranks[query], after.Ranks[query], ofTeacher[place], ofStudent[place]);
            }));
        }

        return gaps;
    }

    /// <summary>Writes records as JSON lines with the names <c>idx, key, caption, gt_rank, retrieved</c>.</summary>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public static void Write<T>(string path, IEnumerable<T> records) => AtomicFile.Write(path, stream =>
    {
        foreach (var record in records)
        {
            JsonSerializer.Serialize(stream, record, _line);
            stream.WriteByte((byte)'\n');
        }
    });

    /// <summary>One direction: queries, answers, and what they are called.</summary>
    private sealed record Side(
        string Direction,
        Tensor Queries,
        Tensor Answers,
        IReadOnlyList<long> Ranks,
        Func<int, (int Index, string Key, string Caption)> QueryOf,
        Func<int, (int Index, string Key, string Caption)> AnswerOf,
        Func<int, int, bool> IsRight)
    {
        public static IReadOnlyList<Side> Both(RetrievalSet set, RetrievalFeatures features, RetrievalRanks ranks)
        {
            var firstCaptions = new Dictionary<int, string>();
            foreach (var caption in set.Captions)
            {
                firstCaptions.TryAdd(caption.Image, caption.Text);
            }

            (int, string, string) Image(int row)
            {
                var index = features.ImageRows[row];
                return (index, set.Name(index), firstCaptions[index]);
            }

            (int, string, string) Caption(int row)
            {
                var index = features.CaptionRows[row];
                return (index, set.Name(set.Captions[index].Image), set.Captions[index].Text);
            }

            static long[] FromOne(RankList list) => [.. list.Ranks.Select(rank => rank + 1)];
            return
            [
                new(
                    "image to text", features.Images, features.Captions, FromOne(ranks.ImageToText), Image, Caption,
                    (image, caption) => features.ImageOf[caption] == image),
                new(
                    "text to image", features.Captions, features.Images, FromOne(ranks.TextToImage), Caption, Image,
                    (caption, image) => features.ImageOf[caption] == image),
            ];
        }

        /// <summary>The best answers to some queries.</summary>
        public List<IReadOnlyList<RetrievedItem>> Best(int[] queries, int shown)
        {
            var best = new List<IReadOnlyList<RetrievedItem>>(queries.Length);
            using var noGradient = torch.no_grad();
            foreach (var rows in queries.Chunk(QueriesAtOnce))
            {
                using var scope = torch.NewDisposeScope();
                var chosen = Queries.index_select(0, torch.tensor(rows.Select(row => (long)row).ToArray()));
                var (scores, answers) = chosen.matmul(Answers.t()).topk((int)Math.Min(shown, Answers.shape[0]));
                var (values, indices) = (scores.contiguous().data<float>().ToArray(), answers.contiguous().data<long>().ToArray());
                var width = values.Length / rows.Length;
                best.AddRange(rows.Select((query, place) => (IReadOnlyList<RetrievedItem>)[.. Enumerable.Range(place * width, width).Select(cell =>
                {
                    var answer = (int)indices[cell];
                    var (index, key, caption) = AnswerOf(answer);
                    return new RetrievedItem(index, key, caption, values[cell], IsRight(query, answer));
                })]));
            }

            return best;
        }
    }
}

/// <summary>An answer to a query.</summary>
/// <param name="Idx">Its place among the set's captions, or images.</param>
/// <param name="Key">The image, or the image that the caption belongs to: a path, or a shard and a member.</param>
/// <param name="Caption">The caption, or the image's first one.</param>
/// <param name="Score">Cosine similarity to the query.</param>
/// <param name="Right">Whether it is a right answer.</param>
public sealed record RetrievedItem(int Idx, string Key, string Caption, double Score, bool Right);

/// <summary>A query that a model fails.</summary>
/// <param name="Direction"><c>image to text</c> or <c>text to image</c>.</param>
/// <param name="Idx">The query's place among the set's images, or captions.</param>
/// <param name="Key">The query's image, or the image that the caption belongs to.</param>
/// <param name="Caption">The caption, or the image's first one.</param>
/// <param name="GtRank">Rank of the first right answer, from 1.</param>
/// <param name="Retrieved">The best answers, the best first.</param>
public sealed record RetrievalError(string Direction, int Idx, string Key, string Caption, long GtRank, IReadOnlyList<RetrievedItem> Retrieved);

/// <summary>A query that a teacher fails and a student answers.</summary>
/// <param name="Direction"><c>image to text</c> or <c>text to image</c>.</param>
/// <param name="Idx">The query's place among the set's images, or captions.</param>
/// <param name="Key">The query's image, or the image that the caption belongs to.</param>
/// <param name="Caption">The caption, or the image's first one.</param>
/// <param name="TeacherRank">Rank of the first right answer by the teacher, from 1.</param>
/// <param name="StudentRank">The same by the student.</param>
/// <param name="Teacher">The teacher's best answers.</param>
/// <param name="Student">The student's best answers.</param>
public sealed record RetrievalGap(
    string Direction,
    int Idx,
    string Key,
    string Caption,
    long TeacherRank,
    long StudentRank,
    IReadOnlyList<RetrievedItem> Teacher,
    IReadOnlyList<RetrievedItem> Student);
