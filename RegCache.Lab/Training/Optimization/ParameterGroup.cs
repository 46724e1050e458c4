namespace RegCache.Lab.Training.Optimization;

/// <summary>Parameters that share their weight decay.</summary>
/// <param name="Parameters">The parameters, in checkpoint order.</param>
/// <param name="WeightDecay">Decoupled weight decay, multiplied by the learning rate at each step.</param>
public sealed record ParameterGroup(IReadOnlyList<NamedParameter> Parameters, double WeightDecay);
