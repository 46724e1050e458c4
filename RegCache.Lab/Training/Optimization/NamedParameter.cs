namespace RegCache.Lab.Training.Optimization;

/// <summary>A tensor that training changes.</summary>
/// <param name="Name">Its name in the checkpoint.</param>
/// <param name="Value">The tensor; a leaf that requires gradients.</param>
public readonly record struct NamedParameter(string Name, Tensor Value);
