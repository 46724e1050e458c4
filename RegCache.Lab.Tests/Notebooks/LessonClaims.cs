namespace RegCache.Lab.Tests.Notebooks;

/// <summary>A sentence of a lesson, and what the lesson's outputs must show for it to be true.</summary>
/// <param name="Lesson">The number of the lesson.</param>
/// <param name="Quote">Words of the text, as they stand there.</param>
/// <param name="Holds">Whether they are true.</param>
internal sealed record LessonClaim(string Lesson, string Quote, Func<LessonOutputs, bool> Holds)
{
    /// <summary>Whether it must hold in a quick run on few images, too. Plots are kept as values only with the lesson.</summary>
    public bool OnFewImages { get; init; }

    /// <summary>All of them: a text that changes, or results that do, change a line here.</summary>
    public static IReadOnlyList<LessonClaim> All { get; } =
    [
        new("00", "runs blocks 0 to 2 as trained and quantizes all linear layers from block 3 on to 4 bits", shown =>
            shown.Text("var plan =").StartsWith("blocks 0 to 2: float; blocks 3 to 5: naive W4A4", StringComparison.Ordinal))
            { OnFewImages = true },
        new("00", "From block 2 on the largest patch norm of an image is more than ten times the median.", shown =>
        {
            var norms = shown.Plot("TokenNormsPlot");
            var ratios = norms["largest patch norm"].Zip(norms["median patch norm"], (largest, median) => largest / median).ToList();

            // The embedding stands before block 0.
            return ratios[..3].TrueForAll(ratio => ratio < 10) && ratios[3..].TrueForAll(ratio => ratio > 10);
        }),

        new("01", "The classifier is right far more often than chance ($1/48$)", shown =>
            shown.Numbers("experiment.Evaluate", @"top-1 ([\d.]+) %")[0] > 30 * 100.0 / 48) { OnFewImages = true },
        new("01", "Its mistakes are close: the right colour with a similar shape.", shown =>
            shown.Table("topk(3, -1)").All(row => row["Truth"].Split(' ')[0] == row["First"].Split(' ')[0])),
        new("01", "Retrieval is harder", shown =>
            shown.Table("RetrievalEvaluation.Run").All(row => row.Number("RecallAt1") < shown.Numbers("experiment.Evaluate", @"top-1 ([\d.]+) %")[0])),

        new("02", "made by a single huge value in that block's MLP", shown =>
            Norms(shown, "block 2").Number("MaxMlpHidden") > 100 * Norms(shown, "block 1").Number("MaxMlpHidden")) { OnFewImages = true },
        new("02", "point in the same direction (cosine near 1), while other patches do not", shown =>
            Norms(shown, "block 2").Number("OutlierCosine") > 0.99 && Norms(shown, "block 2").Number("PatchCosine") < 0.6) { OnFewImages = true },
        new("02", "a handful of the 64 patches draws more than half of all attention", shown =>
            Norms(shown, "block 4").Number("MostOutliers") <= 8 && shown.Plot("ShareOfOutliers")[""].Skip(3).All(share => share > 0.5)),
        new("02", "their share would be the number of outliers over 65, about a tenth; in the first blocks it is close to that", shown =>
            Math.Abs((Norms(shown, "block 4").Number("Outliers") / 65) - 0.1) < 0.02 && shown.Plot("ShareOfOutliers")[""].Take(3).All(share => share is > 0.05 and < 0.2)),

        new("03", "The second time all five become zero.", shown =>
            shown.Text("company").TrimEnd().EndsWith("-0, -0, 0, 0, 0, 100", StringComparison.Ordinal)) { OnFewImages = true },
        new("03", "The worst are the inputs of `mlp.c_proj` in the blocks where registers are made.", shown =>
            shown.Table("ranges.Where").OrderBy(row => row.Number("TokenSqnr")).Take(3).All(row => row["Layer"] == "mlp.c_proj" && row["Block"] is "2" or "3" or "4"))
            { OnFewImages = true },
        new("03", "Where the largest magnitude jumps, the signal is lost", shown =>
            shown.Table("ranges.Where").All(row => row.Number("LInf") > 100 == row.Number("TokenSqnr") < 10)) { OnFewImages = true },
        new("03", "The step is wider than the whole histogram of ordinary values.", shown =>
        {
            var (title, series) = shown.Drawing("Histogram");
            var values = series["x"]!.AsArray().Select(value => (double)value!).ToList();
            return LessonOutputs.Number(title.Split("is ")[^1].Split(' ')[0]) > values.Max() - values.Min();
        }),
        new("03", "Eight bits give 255 levels, plenty for values of similar size. Here even they fail", shown =>
            shown.Plot("Accuracy by bit-width")[""] is [var plain, var eight, ..] && eight < plain - 20),

        new("04", "the tree needs far fewer block forwards than separate runs would", shown =>
            shown.Numbers("SensitivitySearch.Plans", @"(\d+) block forwards an image instead of (\d+)") is [var shared, var alone] && shared < 0.7 * alone)
            { OnFewImages = true },
        new("04", "The second MLP layers, `mlp.c_proj`, stand out in the blocks with outliers", shown =>
            shown.Table("OrderByDescending").Take(3).All(row => row["Layer"] == "MlpOut" && row["Block"] is "2" or "3" or "4")) { OnFewImages = true },
        new("04", "most other layers could be quantized for free", shown =>
            shown.Plot("Bars(table, SearchMetric.Accuracy)").Where(layer => layer.Key != "mlp.c_proj").All(layer => layer.Value.All(lost => lost < 0.6))),

        new("05", "Before the registers are made, the scores are small and spread over many positions. Then the scores jump", shown =>
        {
            var blocks = shown.Table("candidates.Select");
            return blocks[^1].Number("Last") > 5 * blocks[0].Number("Best") && Uses(blocks[0])[0] < 30;
        }),
        new("05", "a few positions (counted from 1, row by row; *position:how often*) take nearly all places", shown =>
            Uses(shown.Table("candidates.Select")[^1])[..2].Sum() >= 80),
        new("05", "The prefix alone helps little or not at all", shown =>
            shown.Plot("nothing deleted").Values.All(accuracies => accuracies.Max() - accuracies[0] < 8)),

        new("06", "one outlier that stays is enough to stretch the ranges. Once all are gone, accuracy jumps", shown =>
        {
            // Rows are prefix counts, columns delete counts; that of the best setting is where all outliers are gone.
            var (grid, gone) = (shown.HeatMap("HeatMap"), (int)shown.Table("Ranked")[0].Number("DeleteCount"));
            return grid.All(row => row[..(gone - 1)].Max() + 10 < row[gone]) && grid.All(row => row[^1] < row[gone]);
        }),
        new("06", "The bottom row, without a prefix, jumps almost as high in the demo model", shown =>
        {
            var grid = shown.HeatMap("HeatMap");
            return grid.SelectMany(row => row).Max() - grid[0].Max() < 3;
        }),
        new("06", "Together they make the model *cheaper*.", shown =>
            shown.Numbers("of the plain encoder's", @"([\d.]+) % of the plain")[0] < 100),

        new("07", "RepQ-ViT suffers from outlier tokens like the naive quantizer, and RegCache recovers nearly all that they cost", shown =>
            shown.Table("var naive =")[0].Number("Recovered") > 95 && shown.Table("var repqvit =")[^1].Number("Recovered") > 80
            && shown.Table("var repqvit =")[^1].Number("Float") - shown.Table("var repqvit =")[^1].Number("Quantized") > 20),
        new("07", "what is left at W4A4 is the price of four bits", shown =>
            shown.Table("var naive =") is [var eight, .., var four] && four.Number("Both") < eight.Number("Both") - 5),
        new("07", "PTQ4ViT is different.", shown => shown.Table("var ptq4vit =")[^1].Number("Recovered") < 50),

        new("08", "A prediction at the border between two classes may flip, nothing more.", shown =>
        {
            var ways = shown.Table("Throughput.Measure");
            return Math.Abs(ways[0].Number("Top1") - ways[1].Number("Top1")) < 0.5
                && ways.Skip(2).Max(way => way.Number("Top1")) - ways.Skip(2).Min(way => way.Number("Top1")) < 0.5;
        }),
        new("08", "Simulation is slower than float", shown =>
        {
            var speeds = shown.Table("Throughput.Measure").Select(way => way.Number("ImagesPerSecond")).ToArray();
            return speeds[2] < speeds[0] && speeds[3] < speeds[1];
        }),

        new("09", "The measured speed follows the multiply-accumulates only in part", shown =>
        {
            var points = shown.Table("Throughput.Measure");
            return points.Where(point => point["R"] != "0")
                .All(point => point.Number("SpeedRatio") < points[0].Number("Mmacs") / point.Number("Mmacs"));
        }),
        new("09", "An outlier that merges with an ordinary patch makes the mean an outlier.", shown =>
            shown.Table("OutlierHandling[] rules") is [_, var ordinary, var protect, ..] && protect.Number("Top1") >= ordinary.Number("Top1")),

        new("10", "With random memories in two blocks the student still does most of what its teacher does", shown =>
            Distillation(shown) is [var before, _, var teacher] && before > teacher / 2) { OnFewImages = true },
        new("10", "A few dozen steps of images without captions bring it close to its teacher.", shown =>
            Distillation(shown) is [var before, var after, var teacher] && after > before + 5 && after > teacher - 5),
        new("10", "Few slots do most of the work", shown => shown.Table("new SlotUsage").All(row => row.Number("Effective") < row.Number("Slots") / 4))
            { OnFewImages = true },
        new("10", "many slots are never read at all", shown => shown.Table("new SlotUsage").All(row => row.Number("Used") < 0.85 * row.Number("Slots")))
            { OnFewImages = true },
        new("10", "Half of the table can go at next to no cost, if it is the right half", shown =>
            shown.Plot("double[] Recalls") is var lines && Math.Abs(lines["least read first"][5] - lines["least read first"][0]) < 1.5),
        new("10", "the 64 slots that are read most cost several points", shown =>
            shown.Plot("double[] Recalls") is var lines && lines["most read first"][4] < lines["most read first"][0] - 2),
        new("10", "even without any value the model finds most captions", shown => shown.Plot("double[] Recalls").Values.All(line => line[^1] > 70)),
        new("10", "Distillation keeps what the teacher can, with fewer parameters; it teaches nothing new.", shown =>
            shown.Table("measured.Rows.ToDataFrame").Where(row => row["Model"] == "distilled").All(row => Math.Abs(row.Number("R1Change")) < 5)
            && shown.Table("MemoryStudy.Costs") is [var teacher, var distilled, ..] && distilled.Number("VisionParameters") < teacher.Number("VisionParameters")),
        new("10", "most queries that the teacher got wrong are right now, in both directions", shown =>
        {
            var rows = shown.Table("measured.Rows.ToDataFrame");
            return rows.Where(row => row["Model"] == "finetuned").All(row =>
                row.Number("Gained") > row.Number("Queries") * (100 - rows.First(one => one["Direction"] == row["Direction"]).Number("R1")) / 200);
        }) { OnFewImages = true },

        new("11", "A late entry saves its tokens in the blocks before it, and no parameter.", shown =>
            shown.Table("var summaries") is [_, var start, _, var late]
            && start["Tokens"] == "69 69 69 69 69 69" && late["Tokens"] == "64 64 64 69 69 69" && late.Number("Mmacs") < start.Number("Mmacs")
            && late["Parameters"] == start["Parameters"]) { OnFewImages = true },
        new("11", "With four registers the whole choice is worth about two percent", shown =>
        {
            var costs = shown.Plot("Gmacs(registers, block)")["4 registers"];
            return costs[^1] / costs[0] is > 0.97 and < 0.985;
        }),
        new("11", "All four are far above chance", shown =>
            shown.Table("run.Metrics[VitTask.TestTop1]").All(row => row.Number("Top1") > 4 * 100.0 / 48)),
        new("11", "what is missing to one goes to the special tokens", shown =>
            shown.Table("var shares").All(row => row.Number("ClassToken") is > 0 and < 1 && row.Number("Registers") is > 0 and < 1)) { OnFewImages = true },
        new("11", "A page for the class token and one for each register", shown =>
            shown.Text("pdf.FileName(").StartsWith("5 pages", StringComparison.Ordinal)) { OnFewImages = true },

        new("12", "An untrained predictor is undecided everywhere. The trained one is sure at nearly every place.", shown =>
            shown.Plot("Scatter Probabilities") is var lines && lines["before"].All(probability => probability is > 0.35 and < 0.65)
            && lines["after"].Average(probability => probability is < 0.1 or > 0.9 ? 1.0 : 0) > 0.9),
        new("12", "it ends one behind every word", shown => Pooled(shown, "gumbel").Number("Recall") > 0.99),
        new("12", "The rate is learned first, within a few dozen steps", shown =>
            shown.Plot("curve.Line") is var lines && lines["loss of the rate"].Skip(12).All(loss => loss < lines["loss of the rate"][0] / 3)
            && lines["bits a character"][12] > 3 * lines["bits a character"][^1]),
        new("12", "It does not fall to zero", shown => shown.Plot("curve.Line")["loss of the rate"].All(loss => loss > 0.01)),
        new("12", "With segments the model needs about six tenths of the multiply-accumulates, hardly any more bits, and less time", shown =>
            shown.Table("scores.ToDataFrame") is var rows && rows[0] is var none && rows.Skip(1).All(row =>
                row.Number("MmacsPerCharacter") / none.Number("MmacsPerCharacter") is > 0.55 and < 0.67
                && row.Number("BitsPerCharacter") < none.Number("BitsPerCharacter") + 0.04
                && row.Number("CharactersPerSecond") > none.Number("CharactersPerSecond"))),

        new("13", "Down to three quarters of the tokens hardly anything is lost.", shown =>
            shown.Table("untrained.Zip") is var rows && rows.Where(row => row["Setting"] == "rate 0.75").All(row => row.Number("Top1") > rows[0].Number("Top1") - 3)),
        new("13", "`cosine` keeps more than `every`", shown =>
            new[] { "rate 0.5", "rate 0.25" }.All(rate => Untrained(shown, "cosine", rate).Number("Top1") > Untrained(shown, "every", rate).Number("Top1"))),
        new("13", "at the same cost the learned boundaries of `ditto` do better than evenly spread ones", shown =>
            Trained(shown, "ditto").Number("After") > Trained(shown, "fixed").Number("After") && Trained(shown, "ditto")["Mmacs"] == Trained(shown, "fixed")["Mmacs"]),
        new("13", "is another number of runs without noise", shown => Math.Abs(Trained(shown, "drip").Number("Runs") - (64 * Trained(shown, "drip").Number("Boundaries"))) > 8),
        new("13", "its rate has not arrived yet", shown => Trained(shown, "h-net").Number("Boundaries") < 0.2),
        new("13", "no tower reaches merging without training at the same cost", shown =>
            Untrained(shown, "tome", "r 12") is var merged
            && shown.Table("run.Before, run.After").Skip(1).All(row => row.Number("After") < merged.Number("Top1") && row.Number("Mmacs") > merged.Number("Mmacs"))),

        new("14", "the stream shrinks to half of its tokens and the model to two thirds of its multiply-accumulates, at two or three points of accuracy", shown =>
            Step(shown, "+ quantizer") is var all && Step(shown, "plain") is var plain && all.Number("FinalTokens") < 0.55 * plain.Number("FinalTokens")
            && all.Number("Mmacs") < 0.67 * plain.Number("Mmacs") && plain.Number("Top1") - all.Number("Top1") is > 1 and < 4),
        new("14", "Alone, the quantizer costs more than twenty points; on top of the others it costs next to nothing", shown =>
            Lost(shown, "plain", "quantizer") > 20 && Lost(shown, "+ memory", "+ quantizer") < 2),
        new("14", "alone it loses a point, but on top of the others it gives several", shown =>
            Lost(shown, "plain", "deletion") is > 0 and < 2.5 && Lost(shown, "+ quantizer", "- deletion") > 2),
    ];

    public override string ToString() => $"{Lesson}: {Quote}";

    private static TableRow Untrained(LessonOutputs shown, string method, string setting) =>
        shown.Table("untrained.Zip").Single(row => row["Method"] == method && row["Setting"] == setting);

    private static TableRow Trained(LessonOutputs shown, string rule) => shown.Table("run.Before, run.After").Single(row => row["Rule"] == rule);

    private static TableRow Step(LessonOutputs shown, string step) => shown.Table("CompositionStudy.Measure").Single(row => row["Step"] == step);

    private static double Lost(LessonOutputs shown, string from, string to) => Step(shown, from).Number("Top1") - Step(shown, to).Number("Top1");

    private static TableRow Norms(LessonOutputs shown, string place) => shown.Table("norms.ToDataFrame").Single(row => row["Place"] == place);

    private static TableRow Pooled(LessonOutputs shown, string type) => shown.Table("scores.ToDataFrame").Single(row => row["Boundaries"] == type);

    // Accuracy before and after, and the teacher's.
    private static double[] Distillation(LessonOutputs shown) =>
        shown.Numbers("new DistillTask", @"([\d.]+) % before, ([\d.]+) % after \d+ steps; of the teacher: ([\d.]+) %");

    // "41:59 33:30": how often each position is used, most often first.
    private static int[] Uses(TableRow row) => [.. row["Positions"].Split(' ').Select(use => int.Parse(use.Split(':')[1]))];
}
