using RegCache.Lab.Data;
using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Placement;
using RegCache.Lab.Quantization;
using RegCache.Lab.Registers;
using RegCache.Lab.Tests.Encoders;

namespace RegCache.Lab.Tests.Distributed;

/// <summary>Several processes that share the images of a pass give the numbers of one, to the bit; here they are threads.</summary>
public sealed class SharedEvaluationTests : IDisposable
{
    private const int Count = 23, BatchSize = 3, Classes = 6;

    private readonly ClipModel _model = RandomModels.Create(RandomModels.Tiny);
    private readonly MemoryImageSource _images;
    private readonly ZeroShotClassifier _classifier;

    public SharedEvaluationTests()
    {
        torch.manual_seed(3);
        _images = new(torch.randn(Count, 3, 32, 24), [.. Enumerable.Range(0, Count).Select(image => image % Classes)]);
        _classifier = new(ZeroShotClassifier.Normalize(torch.randn(Classes, 12)).t().contiguous());
    }

    public static TheoryData<int> Sizes => [2, 3, 5, 9];

    public void Dispose()
    {
        _classifier.Dispose();
        _images.Dispose();
        _model.Dispose();
    }

    [Theory]
    [MemberData(nameof(Sizes))]
    public void ScoresAreThoseOfOneProcessToTheBit(int size)
    {
        // Ranges of this quantizer are those of the batch, so batches have to be the same ones.
        var blocks = _model.Vision.Blocks.Count;
        var tree = new PlanTree([EncoderPlan.Plain(blocks), .. new[] { 2, 3, 4, 8 }.Select(bits => EncoderPlan.Uniform(blocks, new NaiveQuantizer(new(bits, bits))))]);
        IReadOnlyList<PlanScore> Run(IProcessGroup group, bool prunes) => PlanEvaluation.Run(
            _model.Vision,
            _classifier,
            _images,
            tree,
            new("scores", BatchSize) { Processes = group },
            reference: 0,
            pruning: prunes ? (scores, plan, remaining) => scores[plan].Correct + (remaining / 4) < scores.Max(score => score.Correct) : null,
            confidence: prunes ? null : new(10));
        foreach (var prunes in new[] { false, true })
        {
            var alone = Run(SingleProcess.Instance, prunes);
            Assert.Equal(prunes, alone.Any(score => score.Images < Count));
            Assert.All(ThreadGroup.Run(size, group => Run(group, prunes)), scores => Assert.Equal(alone, scores));
        }
    }

    [Theory]
    [MemberData(nameof(Sizes))]
    public void CandidatesAreThoseOfOneProcess(int size)
    {
        IReadOnlyDictionary<int, ValueList<OutlierToken>> Run(IProcessGroup group) => CandidateExtraction.Run(
            _model.Vision, _images, [0, 1], 10, ScoreTensor.BlockInput, new("candidates", BatchSize) { Processes = group });
        var alone = Run(SingleProcess.Instance);
        Assert.All(ThreadGroup.Run(size, Run), found => Assert.Equal(alone, found));
    }

    [Theory]
    [MemberData(nameof(Sizes))]
    public void AClassifiersMeasuresAreThoseOfOneProcessToTheBit(int size)
    {
        VitEvaluation Run(IProcessGroup group) => VitEvaluation.Run(_model.Vision, _images, new("test", BatchSize) { Processes = group });
        var alone = Run(SingleProcess.Instance);
        Assert.Equal(Count, alone.Images);
        Assert.All(ThreadGroup.Run(size, Run), measured => Assert.Equal(alone, measured));
    }
}
