namespace RegCache.Lab.Evaluation;

/// <summary>What a pass has counted after some batches; going on from it gives the numbers of an unbroken pass.</summary>
/// <param name="Batches">Batches done.</param>
/// <param name="Scores">One entry for each plan.</param>
public sealed record PassState(int Batches, IReadOnlyList<PlanScore> Scores);
