namespace RegCache.Lab.Training.ShapesClip;

/// <summary>What one training step of the demo model sees.</summary>
/// <param name="Images">Normalised images [B,3,H,W].</param>
/// <param name="TextIds">The distinct captions of the batch [C,context], int64.</param>
/// <param name="CaptionOf">Which of them belongs to each image [B], int64.</param>
/// <param name="Kept">The patches that stay, as token indices with the class token 0 in front [B,1+T], int64; null keeps all.</param>
/// <param name="IsLowInformation">1 where a kept patch scores no higher than the median kept patch of its image [B,T].</param>
internal sealed record ShapesClipBatch(Tensor Images, Tensor TextIds, Tensor CaptionOf, Tensor? Kept, Tensor IsLowInformation);
