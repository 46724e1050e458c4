namespace RegCache.Lab.Training.Optimization;

/// <summary>The numbers of one AdamW step.</summary>
internal readonly struct AdamWRule(AdamWOptions options, double learningRate, long step)
{
    public double Beta1 { get; } = options.Beta1;

    public double Beta2 { get; } = options.Beta2;

    public double Epsilon { get; } = options.Epsilon;

    public double LearningRate { get; } = learningRate;

    /// <summary>The learning rate over the first moment's bias correction.</summary>
    public double StepSize { get; } = learningRate / (1 - Math.Pow(options.Beta1, step));

    /// <summary>Square root of the second moment's bias correction.</summary>
    public double RootCorrection { get; } = Math.Sqrt(1 - Math.Pow(options.Beta2, step));

    /// <summary>Does the step by tensor operations, which any device runs without waiting.</summary>
    /// <param name="update">The parameter.</param>
    /// <param name="scale">Multiplied into the gradient, []; null for one.</param>
    public void Apply(ParameterUpdate update, Tensor? scale)
    {
        using var scope = torch.NewDisposeScope();
        var gradient = scale is null ? update.Gradient : update.Gradient * scale.to(update.Gradient.dtype);
        if (update.WeightDecay != 0)
        {
            update.Value.mul_(1 - (LearningRate * update.WeightDecay));
        }

        update.First.mul_(Beta1).add_(gradient, 1 - Beta1);
        update.Second.mul_(Beta2).addcmul_(gradient, gradient, 1 - Beta2);
        var denominator = update.Second.sqrt().div_(RootCorrection).add_(Epsilon);
        update.Value.addcdiv_(update.First, denominator, -StepSize);
    }
}
