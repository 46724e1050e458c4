namespace RegCache.Lab.Data.Images;

/// <summary>An image file that was left out.</summary>
/// <param name="Index">Its index in the set.</param>
/// <param name="Path">The file.</param>
/// <param name="Reason">One sentence that names the file and says what is wrong with it.</param>
public sealed record UnreadableImage(int Index, string Path, string Reason);
