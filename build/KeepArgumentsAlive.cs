using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

/// <summary>
/// Copies a .NET assembly so that no argument of its methods is collected before the method returns: the copy's DebuggableAttribute asks for code
/// without optimizations, for which the runtime keeps arguments and locals until the end. Nothing else changes, and the original is only read.
/// </summary>
public sealed class KeepArgumentsAlive : Task
{
    // A custom attribute's value in metadata: its length, the prolog, the modes, and no named arguments.
    private static readonly byte[] Release = { 8, 1, 0, 2, 0, 0, 0, 0, 0 }; // IgnoreSymbolStoreSequencePoints
    private static readonly byte[] Unoptimized = { 8, 1, 0, 1, 1, 0, 0, 0, 0 }; // Default | DisableOptimizations

    /// <summary>The assemblies, each a release build.</summary>
    [Required]
    public ITaskItem[] Assemblies { get; set; } = Array.Empty<ITaskItem>();

    /// <summary>Where the copies go.</summary>
    [Required]
    public string Folder { get; set; } = "";

    /// <summary>The copies, with the metadata of the originals.</summary>
    [Output]
    public ITaskItem[] Copies { get; set; } = Array.Empty<ITaskItem>();

    public override bool Execute()
    {
        var copies = new List<ITaskItem>();
        foreach (var assembly in Assemblies)
        {
            var content = File.ReadAllBytes(assembly.ItemSpec);
            var places = Enumerable.Range(0, content.Length - Release.Length).Where(at => IsAt(content, at)).ToArray();
            if (places.Length != 1)
            {
                Log.LogError("{0} has {1} values that look like the DebuggableAttribute of a release build, not 1.", assembly.ItemSpec, places.Length);
                return false;
            }

            Unoptimized.CopyTo(content, places[0]);
            var copy = new TaskItem(assembly) { ItemSpec = Path.Combine(Folder, Path.GetFileName(assembly.ItemSpec)) };
            if (!File.Exists(copy.ItemSpec) || !File.ReadAllBytes(copy.ItemSpec).SequenceEqual(content))
            {
                Directory.CreateDirectory(Folder);
                var partial = copy.ItemSpec + "." + Guid.NewGuid().ToString("N");
                File.WriteAllBytes(partial, content);
                File.Delete(copy.ItemSpec);
                File.Move(partial, copy.ItemSpec);
            }

            copies.Add(copy);
        }

        Copies = copies.ToArray();
        return true;
    }

    private static bool IsAt(byte[] content, int at)
    {
        for (var index = 0; index < Release.Length; index++)
        {
            if (content[at + index] != Release[index])
            {
                return false;
            }
        }

        return true;
    }
}
