using RegCache.Lab.Data;
using RegCache.Lab.Encoders;
using RegCache.Lab.Quantization;
using RegCache.Lab.Quantization.Ranges;
using RegCache.Lab.Quantization.RepqVit;
using RegCache.Lab.Registers;
using RegCache.Lab.Tests.Encoders;

namespace RegCache.Lab.Tests.Quantization;

public sealed class RangeStudyTests : IDisposable
{
    private const int Batch = 4;

    private readonly ClipModel _model = RandomModels.Create(RandomModels.Tiny);
    private readonly Tensor _pixels = torch.randn(2 * Batch, 3, 32, 24, generator: new torch.Generator(3));
    private readonly MemoryImageSource _images;

    public RangeStudyTests() => _images = new(_pixels.clone(), [.. Enumerable.Repeat(0, 2 * Batch)]);

    private VisionTower Tower => _model.Vision;

    private EncoderPlan Plain => EncoderPlan.Plain(Tower.Blocks.Count);

    private EncoderPlan Deleted => new RegCacheSetting(0, 0, DeleteBlock: 1, DeleteCount: 2).ApplyTo(Plain, null);

    [Fact]
    public void RowsAreThoseOfTheDefinitions()
    {
        using var scope = torch.NewDisposeScope();
        var naive = new NaiveQuantizer(new(4, 4));
        IQuantizer quantizer = naive;
        var rows = Run(new RangeCase("naive", new(4, 4), false, naive, quantizer.ApplyTo(Plain)));
        var inputs = new Inputs();
        using var runner = new PlanRunner(Tower);
        for (var first = 0; first < 2 * Batch; first += Batch)
        {
            runner.Run(_pixels.narrow(0, first, Batch), quantizer.ApplyTo(Plain), inputs).Dispose();
        }

        Assert.Equal(4 * Tower.Blocks.Count, rows.Count);
        foreach (var (index, row) in rows.Index())
        {
            var batches = inputs.Seen[(row.Block, Kinds[row.Layer])];
            var values = torch.cat([.. batches.Select(batch => batch.flatten())], 0).to(torch.ScalarType.Float64);
            var largest = torch.cat([.. batches.Select(batch => batch.flatten(1).abs().amax([1]))], 0).mean();
            var centred = values - values.mean();
            var kurtosis = centred.pow(4).mean() / centred.square().mean().square();
            var error = batches.Sum(batch => (naive.ActivationGrid(batch).FakeQuantize(batch) - batch)
                .to(torch.ScalarType.Float64).square().sum().item<double>()) / values.NumberOfElements;
            Assert.Equal((index / 4, "W4A4", false), (row.Block, row.Bits, row.Registers));
            Assert.Equal(values.min().item<double>(), row.Min, 1e-6);
            Assert.Equal(values.max().item<double>(), row.Max, 1e-6);
            Assert.Equal(largest.item<float>(), row.LInf, 1e-5);
            Assert.InRange(row.Kurtosis!.Value / kurtosis.item<double>(), 1 - 1e-6, 1 + 1e-6);
            Assert.InRange(row.Mse!.Value / error, 1 - 1e-5, 1 + 1e-5);
            var decibels = batches.SelectMany(batch =>
            {
                var difference = (naive.ActivationGrid(batch).FakeQuantize(batch) - batch).to(torch.ScalarType.Float64);
                return (batch.to(torch.ScalarType.Float64).square().sum(-1) / difference.square().sum(-1)).log10().flatten().data<double>().Select(value => 10 * value);
            }).Average();
            Assert.Equal(decibels, row.TokenSqnr!.Value, 1e-3);
        }
    }

    [Fact]
    public void TogetherIsAsAlone()
    {
        using var calibrationImages = new CalibrationImages(_pixels.clone(), "random");
        using var calibration = new RepqVitCalibrator(Tower, calibrationImages, new(6, 6));
        IQuantizer naive = new NaiveQuantizer(new(8, 8));
        var cases = new List<RangeCase>();
        foreach (var (registers, plan) in new[] { (false, Plain), (true, Deleted) })
        {
            var repq = calibration.Calibrate(plan);
            cases.Add(new(RangeCase.Float, null, registers, null, plan));
            cases.Add(new("naive", new(8, 8), registers, naive, naive.ApplyTo(plan)));
            cases.Add(new("repqvit", new(6, 6), registers, repq, repq.ApplyTo(plan)));
        }

        Assert.Equal(cases.SelectMany(one => Run(one)), Run([.. cases]));

        // On the float stream all quantizers see the same activations.
        var judged = cases.Select(one => one with { Plan = one.Registers ? Deleted : Plain }).ToList();
        var rows = Run([.. judged]);
        Assert.Equal(judged.SelectMany(one => Run(one)), rows);
        foreach (var same in rows.GroupBy(row => (row.Registers, row.Block, row.Layer)))
        {
            Assert.Single(same.Select(row => (row.Min, row.Max, row.LInf, row.Kurtosis)).Distinct());
            Assert.Equal(2, same.Count(row => row.Mse > 0 && row.TokenSqnr > 0));
        }
    }

    [Fact]
    public void AReparameterisedLayerIsMeasuredInItsOwnUnits()
    {
        using var calibrationImages = new CalibrationImages(_pixels.clone(), "random");
        using var calibration = new RepqVitCalibrator(Tower, calibrationImages, new(8, 8));
        var repq = calibration.Calibrate(Plain);
        var rows = Run(new(RangeCase.Float, null, false, null, Plain), new("repqvit", new(8, 8), false, repq, repq.ApplyTo(Plain)));
        var (plain, shifted) = (rows[..(rows.Count / 2)], rows[(rows.Count / 2)..]);
        // The first LayerNorm sees the stream that float sees, but for the quantized patches.
        Assert.InRange(shifted[0].LInf / plain[0].LInf, 0.99, 1.01);
        Assert.InRange(shifted[0].Kurtosis!.Value / plain[0].Kurtosis!.Value, 0.98, 1.02);
        Assert.InRange(shifted[0].TokenSqnr!.Value, 25, 60);
    }

    [Fact]
    public void SummariesCompareWithAndWithout()
    {
        RangeRow Row(string bits, bool registers, string layer, double range, double mse, double decibels) =>
            new("naive", bits, registers, 0, layer, -range, range, range, 10 * range, mse, decibels);
        RangeRow[] rows =
        [
            Row("W8A8", false, "a", 8, 0.4, 20), Row("W8A8", false, "b", 4, 0.1, 30),
            Row("W8A8", true, "a", 2, 0.1, 20 + (20 * Math.Log10(4))), Row("W8A8", true, "b", 3, 0.1, 30),
            Row("W6A6", false, "a", 8, 0.9, 8), Row("W6A6", false, "b", 4, 0.9, 18),
            Row("W6A6", true, "a", 2, 0.4, 20), Row("W6A6", true, "b", 3, 0.5, 18),
        ];
        var summary = RangeSummary.Of(rows)[0];
        Assert.Equal((8, 3, 80d, 30d), (summary.LInfWithout, summary.LInfWith, summary.KurtosisWithout!.Value, summary.KurtosisWith!.Value));
        Assert.Equal(25, summary.SqnrWithout!.Value, 1e-9);
        Assert.Equal(1, summary.BitsGained!.Value, 1e-9);
        Assert.Equal(2, summary.MostBitsGained!.Value, 1e-9);
        Assert.Equal(new FewerBits("naive", "W8A8", "W6A6", ["0 a"], 2), Assert.Single(FewerBits.From(rows)));
        Assert.Null(RangeSummary.Of([new(RangeCase.Float, "float", false, 0, "a", -1, 1, 1, 3, null, null), new(RangeCase.Float, "float", true, 0, "a", -1, 1, 1, 3, null, null)])[0].BitsGained);
    }

    public void Dispose()
    {
        _images.Dispose();
        _pixels.Dispose();
        _model.Dispose();
    }

    private static Dictionary<string, LinearKind> Kinds { get; } = LinearKinds.All.ToDictionary(kind => kind.Name());

    private List<RangeRow> Run(params RangeCase[] cases) => [.. RangeStudy.Run(Tower, _images, 2 * Batch, cases, new("test", Batch))];

    private sealed class Inputs : IActivationProbe
    {
        public Dictionary<(int Block, LinearKind Layer), List<Tensor>> Seen { get; } = [];

        public bool Wants(int block, ActivationKind kind) => LayerOf(kind) is not null;

        public void Observe(int block, ActivationKind kind, Tensor value)
        {
            var key = (block, LayerOf(kind)!.Value);
            if (!Seen.TryGetValue(key, out var batches))
            {
                Seen.Add(key, batches = []);
            }

            batches.Add(value.clone().DetachFromDisposeScope());
        }

        private static LinearKind? LayerOf(ActivationKind kind) => kind switch
        {
            ActivationKind.AttentionNorm => LinearKind.AttentionIn,
            ActivationKind.AttentionContext => LinearKind.AttentionOut,
            ActivationKind.MlpNorm => LinearKind.MlpIn,
            ActivationKind.MlpHidden => LinearKind.MlpOut,
            _ => null,
        };
    }
}
