using RegCache.Lab.Data.Images;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Memory;
using RegCache.Lab.Notebooks.Pages;
using RegCache.Lab.Notebooks.Pictures;
using RegCache.Lab.Reports;
using TorchSharp;

namespace RegCache.Lab.Cli.Commands;

/// <summary>What is kept and shown of failing queries.</summary>
/// <param name="Depth">A query fails whose right answer is not among this many.</param>
/// <param name="Kept">Answers of a query in the files.</param>
/// <param name="Shown">Queries of a student and direction on the page.</param>
/// <param name="TeacherRanks">Which ranks by the teacher count.</param>
internal sealed record ErrorSelection(int Depth, int Kept, int Shown, (long Least, long Most) TeacherRanks);

/// <summary>
/// The queries of a set that models fail: JSON lines of all of them, and a page of those that the teacher fails and a student answers, with
/// the retrieved pictures and where the class tokens of both look.
/// </summary>
internal static class StudyMemoryErrors
{
    // Smaller images are enlarged, so that maps over them leave something to see.
    private const int LeastWidth = 128;

    private static readonly string[] _directions = ["image to text", "text to image"];

    // Attention of all heads between all tokens is kept for this many images at once.
    private const int ImagesAtOnce = 16;

    /// <summary>Writes <c>errors_SET.html</c>, and below <c>errors/</c> the JSON lines.</summary>
    /// <returns>The page's name.</returns>
    public static string Write(RunDirectory directory, MeasuredSet measured, ErrorSelection selection, CancellationToken cancellation)
    {
        using var progress = directory.Progress.Start($"{measured.Name}: errors", measured.Models.Count, "models");
        foreach (var model in measured.Models)
        {
            cancellation.ThrowIfCancellationRequested();
            var errors = RetrievalErrors.Of(measured.Set, model.Features, model.Ranks, selection.Depth, selection.Kept);
            foreach (var direction in _directions)
            {
                RetrievalErrors.Write(PathOf(directory, measured, model, "errors", direction), errors.Where(error => error.Direction == direction));
            }
        }

        var page = new ReportPage($"{measured.Name}: what students find that their teacher does not");
        page.Paragraph(
            $"A query fails when its right answer is not among the best {selection.Depth}. Shown are queries that the teacher fails and a student answers, those first that the teacher ranks lowest. Ranks count from 1; right answers have a green frame. The maps over a picture are the attention of the class token in the last block, a mean over heads.");
        foreach (var (index, student) in measured.Models.Skip(1).Index())
        {
            cancellation.ThrowIfCancellationRequested();
            AddStudent(page, directory, measured, student, selection);
            progress.Report(index + 2);
        }

        var name = $"errors_{FileName(measured.Name)}.html";
        page.Write(directory.PathOf(name));
        return name;
    }

    private static void AddStudent(ReportPage page, RunDirectory directory, MeasuredSet measured, MeasuredModel student, ErrorSelection selection)
    {
        var (least, most) = selection.TeacherRanks;
        var all = measured.Gaps(student, selection.Depth, selection.Kept).Where(gap => gap.TeacherRank >= least && gap.TeacherRank <= most).ToList();
        foreach (var direction in _directions)
        {
            var gaps = all.Where(gap => gap.Direction == direction).ToList();
            RetrievalErrors.Write(PathOf(directory, measured, student, "gaps", direction), gaps);
            page.Heading($"{student.Model.Role}, {direction}");
            page.Paragraph(Sentence(measured, student, direction, selection, gaps.Count));
            GapPictures.Add(page, measured, student, [.. gaps.Take(selection.Shown)], selection.Depth);
        }
    }

    private static string Sentence(MeasuredSet measured, MeasuredModel student, string direction, ErrorSelection selection, int shown)
    {
        IReadOnlyList<long> Of(RetrievalRanks ranks) => (direction == _directions[0] ? ranks.ImageToText : ranks.TextToImage).Ranks;
        var queries = Of(measured.Models[0].Ranks).Zip(Of(student.Ranks), (before, after) => (Before: before >= selection.Depth, After: after >= selection.Depth)).ToList();
        var found = queries.Count(query => query is (true, false));
        var counted = shown == found ? "" : $" ({shown} of them with a rank from {selection.TeacherRanks.Least} to {selection.TeacherRanks.Most} by the teacher)";
        return $"The teacher fails {queries.Count(query => query.Before)} of {queries.Count} queries. The student answers {found} of these{counted}, and fails {queries.Count(query => query is (false, true))} that the teacher answers.";
    }

    private static string FileName(string set) => set.Replace('@', '-').Replace('/', '-');

    private static string PathOf(RunDirectory directory, MeasuredSet measured, MeasuredModel model, string what, string direction) =>
        Path.Combine(directory.PathOf("errors"), $"{what}_{FileName(measured.Name)}_{model.Model.Role}_{direction.Replace(' ', '_')}.jsonl");

    /// <summary>Some gaps with their pictures, on a page.</summary>
    private sealed class GapPictures
    {
        private readonly MeasuredSet _measured;
        private readonly MeasuredModel _student;
        private readonly Dictionary<int, byte[]> _pictures = [];
        private readonly Dictionary<(string Role, int Image), byte[]> _attention = [];
        private readonly int _width;
        private readonly int _scale;

        private GapPictures(MeasuredSet measured, MeasuredModel student)
        {
            (_measured, _student) = (measured, student);
            var preprocess = Teacher.Model.Experiment.Preprocess;
            _scale = Math.Max(1, (LeastWidth + preprocess.Width - 1) / preprocess.Width);
            _width = preprocess.Width * _scale;
        }

        private MeasuredModel Teacher => _measured.Models[0];

        public static void Add(ReportPage page, MeasuredSet measured, MeasuredModel student, IReadOnlyList<RetrievalGap> gaps, int depth)
        {
            var pictures = new GapPictures(measured, student);
            int ImageOf(RetrievalGap gap) => gap.Direction == _directions[0] ? gap.Idx : measured.Set.Captions[gap.Idx].Image;
            int[] own = [.. gaps.Select(ImageOf).Distinct()];
            var retrieved = gaps.Where(gap => gap.Direction == _directions[1]).SelectMany(gap => gap.Teacher.Take(depth).Concat(gap.Student.Take(depth)));
            pictures.Read([.. own.Concat(retrieved.Select(item => item.Idx)).Distinct()]);
            pictures.ReadAttention(pictures.Teacher, own);
            pictures.ReadAttention(student, own);
            foreach (var gap in gaps)
            {
                pictures.Add(page, gap, ImageOf(gap), depth);
            }
        }

        private void Add(ReportPage page, RetrievalGap gap, int image, int depth)
        {
            page.Subheading($"Rank {gap.TeacherRank} by the teacher, {gap.StudentRank} by the {_student.Model.Role} student");
            var isOfImage = gap.Direction == _directions[0];
            page.Paragraph(isOfImage ? $"Right: {gap.Caption}" : $"Query: {gap.Caption}");
            page.Figures(isOfImage ? "query" : "right answer",
            [
                Figure(_pictures[image], Path.GetFileName(gap.Key), isMarked: !isOfImage),
                Figure(_attention[(Teacher.Model.Role, image)], "attention, teacher"),
                Figure(_attention[(_student.Model.Role, image)], $"attention, {_student.Model.Role}"),
            ]);
            (string Who, IReadOnlyList<RetrievedItem> Answers)[] found = [("teacher", gap.Teacher), (_student.Model.Role, gap.Student)];
            if (isOfImage)
            {
                page.Lines(found.SelectMany(one => one.Answers.Take(depth)
                    .Select(item => $"{(item.Right ? "right" : "     ")}  {item.Score:0.000}  {item.Caption}").Prepend($"{one.Who} finds")));
                return;
            }

            foreach (var (who, answers) in found)
            {
                page.Figures($"{who} finds", answers.Take(depth).Select(item => Figure(_pictures[item.Idx], $"{item.Score:0.000} {Path.GetFileName(item.Key)}", item.Right)));
            }
        }

        private PageFigure Figure(byte[] pixels, string caption, bool isMarked = false) => new(pixels, _width, caption, isMarked);

        private void Read(int[] images)
        {
            foreach (var some in images.Chunk(ImagesAtOnce))
            {
                using var batch = Teacher.Features.Source!.Read(some);
                foreach (var (index, pixels) in some.Zip(InputPixels.Of(batch, Teacher.Model.Experiment.Preprocess)))
                {
                    _pictures[index] = PictureGrid.Enlarge(pixels, Teacher.Model.Experiment.Preprocess.Width, _scale);
                }
            }
        }

        private void ReadAttention(MeasuredModel model, int[] images)
        {
            var tower = model.Model.Experiment.Tower;
            foreach (var some in images.Chunk(ImagesAtOnce))
            {
                using var batch = model.Features.Source!.Read(some);
                var maps = AttentionMaps.Measure(tower, batch, tower.Blocks.Count - 1, query: 0);
                foreach (var (index, map) in some.Zip(maps.Maps))
                {
                    _attention[(model.Model.Role, index)] = AttentionPicture.Overlay(_pictures[index], _width, map, maps.Columns);
                }
            }
        }
    }
}
