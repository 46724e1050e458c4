namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>The files of a restored package and of those that it needs.</summary>
/// <param name="Assemblies">Managed assemblies.</param>
/// <param name="NativeFolders">Folders with native libraries for this machine.</param>
internal sealed record RestoredPackages(IReadOnlyList<string> Assemblies, IReadOnlyList<string> NativeFolders);
