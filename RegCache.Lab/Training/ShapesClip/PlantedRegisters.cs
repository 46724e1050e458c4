using RegCache.Lab.Distributed;
using RegCache.Lab.Encoders;

namespace RegCache.Lab.Training.ShapesClip;

/// <summary>
/// Everything about the demo model's register tokens that is not plain CLIP training, in one place (docs/methods/shapes.md).
/// Learned: which patches become registers (the mark neuron's input weights, under temporary losses), and their use
/// as attention sinks. Planted: the two residual channels they use, how large they are, and in which blocks the hidden value
/// of the MLP explodes.
/// </summary>
/// <param name="weights">The model's tensors.</param>
internal sealed class PlantedRegisters(WeightTable weights)
{
    /// <summary>The block whose neuron 0 marks patches.</summary>
    public const int MarkBlock = 1;

    /// <summary>The first block in which the hidden value explodes.</summary>
    public const int FirstAmplifier = 2;

    private const double MarkWrite = 8;
    private const double Threshold = 8;
    private const double TrainedPeak = 400;
    private const double TrainedGain = TrainedPeak / 5.5;
    private const double FirstWrite = 220;
    private const double LaterWrite = 60;
    private const double FinalThreshold = 12.5;
    private const double FinalGain = 1200;

    private readonly int _blocks = BlockCount(weights);

    /// <summary>Before the register phase: the mark neuron starts silent.</summary>
    public void Plant()
    {
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        weights[Name(MarkBlock, "mlp.c_fc.bias")][0] = torch.tensor(-1f);
        Enforce();
    }

    /// <summary>After every optimiser step of the register phase: restores what is planted.</summary>
    public void Enforce()
    {
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        Reserve("visual.ln_pre.weight", 0);
        Reserve("visual.ln_pre.bias", 0);
        for (var block = 0; block < _blocks; block++)
        {
            foreach (var norm in new[] { "ln_1", "ln_2" })
            {
                Reserve(Name(block, $"{norm}.weight"), 1);
                Reserve(Name(block, $"{norm}.bias"), 0);
            }

            Reserve(Name(block, "attn.out_proj.weight"), 0);
            Reserve(Name(block, "attn.out_proj.bias"), 0);
            Reserve(Name(block, "mlp.c_proj.weight"), 0);
            Reserve(Name(block, "mlp.c_proj.bias"), 0);
        }

        Write(MarkBlock, MarkWrite);
        for (var block = FirstAmplifier; block < _blocks; block++)
        {
            Detect(block, TrainedGain, Threshold);
            Write(block, (block == FirstAmplifier ? FirstWrite : LaterWrite) / TrainedPeak);
        }
    }

    /// <summary>
    /// After training: firing becomes all or nothing and the hidden peak four times as high, with the same writes; the last
    /// block's neuron, whose patch outputs nobody reads, is silenced.
    /// </summary>
    public void Sharpen()
    {
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        for (var block = FirstAmplifier; block < _blocks - 1; block++)
        {
            Detect(block, FinalGain, FinalThreshold);
            Write(block, (block == FirstAmplifier ? FirstWrite : LaterWrite) / FinalGain);
        }

        Detect(_blocks - 1, 0, 0);
        Write(_blocks - 1, 0);
    }

    /// <summary>The temporary losses of a step.</summary>
    /// <param name="options">Weights and targets.</param>
    /// <param name="step">The step within the phase.</param>
    /// <param name="probe">What the forward pass showed.</param>
    /// <param name="isLowInformation">1 for patches that may be marked [B,N]; all patches are there.</param>
    /// <param name="processes">The processes that share the batch.</param>
    /// <returns>The weighted sum [] of this process's images; the mean over all processes is that of the batch.</returns>
    public static Tensor Loss(
        RegisterLossOptions options, long step, RegisterProbe probe, Tensor isLowInformation, IProcessGroup processes) => TensorScope.Run(() =>
    {
        var patches = probe.Marks.shape[1] - 1;
        var (classMarks, marks) = (probe.Marks.narrow(1, 0, 1), probe.Marks.narrow(1, 1, patches));

        // The positions organise themselves: those that the batch marks most are encouraged, all others are not.
        var (_, positions) = processes.MeanForAll(marks.detach().mean([0])).topk(options.Positions, 0);
        var isPosition = torch.zeros(patches).index_fill(0, positions, 1);
        var isMarked = isLowInformation * isPosition;
        var level = options.MarkedLevel * Math.Min(1.0, (double)step / options.RampSteps);
        var marked = isMarked.sum();
        processes.Sum(marked);
        var shortfall = ((level - marks).relu() * isMarked).sum() * processes.Size / marked.clamp_min(1);
        var excess = (marks - options.UnmarkedLevel).relu() * (1 - isPosition);
        var classExcess = (classMarks - options.UnmarkedLevel).relu().mean();
        var loss = (shortfall * options.MarkedWeight)
            + ((excess.mean() + classExcess) * options.UnmarkedWeight)
            + (excess.amax([1]).mean() * options.WorstUnmarkedWeight);
        foreach (var attention in probe.Attention)
        {
            // Over all queries, the share of the marked tokens in each image and head [B,H].
            var share = (attention.mean([2]).narrow(2, 1, patches) * isMarked.unsqueeze(1)).sum(-1);
            loss = loss + ((options.SinkShare - processes.MeanForAll(share.mean([0]))).relu().mean() * options.SinkWeight);
        }

        return loss;
    });

    private static int BlockCount(WeightTable weights) =>
        weights.Names.Count(name => name.StartsWith("visual.", StringComparison.Ordinal) && name.EndsWith("mlp.c_fc.bias", StringComparison.Ordinal));

    private static string Name(int block, string tensor) => $"visual.transformer.resblocks.{block}.{tensor}";

    // Rows 0 and 1 of a matrix, or elements 0 and 1 of a vector, are those of the reserved residual channels.
    private void Reserve(string name, double value) => weights[name].narrow(0, 0, 2).fill_(value);

    // The hidden neuron 0 writes to the reserved channels, and to nothing else.
    private void Write(int block, double amount)
    {
        var column = weights[Name(block, "mlp.c_proj.weight")].select(1, 0);
        column.zero_();
        column[0] = torch.tensor((float)amount);
        column[1] = torch.tensor((float)-amount);
    }

    // Neuron 0 becomes gain * (x0 - x1 - threshold); LayerNorm saturates x0 - x1 at 13.9.
    private void Detect(int block, double gain, double threshold)
    {
        var row = weights[Name(block, "mlp.c_fc.weight")].select(0, 0);
        row.zero_();
        row[0] = torch.tensor((float)gain);
        row[1] = torch.tensor((float)-gain);
        weights[Name(block, "mlp.c_fc.bias")][0] = torch.tensor((float)(-gain * threshold));
    }
}

/// <summary>Keeps, with their gradients, the activations that the register losses act on.</summary>
internal sealed class RegisterProbe : IActivationProbe
{
    private readonly List<Tensor> _attention = [];
    private Tensor? _marks;

    /// <summary>Pre-activation of the mark neuron of every token [B,1+T].</summary>
    public Tensor Marks => _marks ?? throw new InvalidOperationException("The mark block has not run.");

    /// <summary>Attention probabilities of the blocks after the first amplifier [B,H,N,N].</summary>
    public IReadOnlyList<Tensor> Attention => _attention;

    /// <inheritdoc />
    public bool Wants(int block, ActivationKind kind) =>
        (kind == ActivationKind.MlpIn && block == PlantedRegisters.MarkBlock)
        || (kind == ActivationKind.AttentionProbabilities && block > PlantedRegisters.FirstAmplifier);

    /// <inheritdoc />
    public void Observe(int block, ActivationKind kind, Tensor value)
    {
        // An alias outlives the forward pass's own tensor and stays part of the graph.
        if (kind == ActivationKind.MlpIn)
        {
            _marks = value.select(2, 0).DetachFromDisposeScope();
        }
        else
        {
            _attention.Add(value.alias().DetachFromDisposeScope());
        }
    }

    /// <summary>Hands the kept tensors to the current dispose scope.</summary>
    public void AttachToScope()
    {
        var scope = torch.CurrentDisposeScope;
        scope?.Attach(_attention);
        if (_marks is not null)
        {
            scope?.Attach(_marks);
        }
    }
}
