using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

/// <summary>
/// Copies an ELF library so that the copy loads where a symbol version that it asks for does not exist: the need for that version is marked weak
/// (VER_FLG_WEAK of its entry in .gnu.version_r), which lets the dynamic linker go on. Nothing else changes, and the original is only read.
/// </summary>
public sealed class WeakenVersionNeed : Task
{
    private const uint VersionNeeds = 0x6ffffffe; // SHT_GNU_verneed
    private const ushort Weak = 2; // VER_FLG_WEAK

    /// <summary>The libraries; 64-bit little-endian ELF.</summary>
    [Required]
    public ITaskItem[] Libraries { get; set; } = Array.Empty<ITaskItem>();

    /// <summary>Version whose need is weakened, for example GLIBCXX_3.4.32.</summary>
    [Required]
    public string Version { get; set; } = "";

    /// <summary>Where the copies go.</summary>
    [Required]
    public string Folder { get; set; } = "";

    /// <summary><c>auto</c>: only where the system's library lacks the version; <c>always</c>; <c>never</c>.</summary>
    [Required]
    public string When { get; set; } = "";

    /// <summary>The library that is asked for the version in <c>auto</c>; empty: the one that the dynamic linker would take.</summary>
    public string Provider { get; set; } = "";

    /// <summary>The copies, with the metadata of the originals; empty where nothing had to be done.</summary>
    [Output]
    public ITaskItem[] Copies { get; set; } = Array.Empty<ITaskItem>();

    public override bool Execute()
    {
        if (When == "never" || (When == "auto" && !SystemLacksVersion()))
        {
            return true;
        }

        var copies = new List<ITaskItem>();
        foreach (var library in Libraries)
        {
            var content = File.ReadAllBytes(library.ItemSpec);
            if (!Weaken(content))
            {
                continue;
            }

            var copy = new TaskItem(library) { ItemSpec = Path.Combine(Folder, Path.GetFileName(library.ItemSpec)) };
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

    private bool SystemLacksVersion()
    {
        var provider = Provider.Length > 0 ? Provider : Folders().Select(folder => Path.Combine(folder, "libstdc++.so.6")).FirstOrDefault(File.Exists);
        return provider != null && File.Exists(provider) && Find(File.ReadAllBytes(provider), Encoding.ASCII.GetBytes(Version + "\0")) < 0;
    }

    private static IEnumerable<string> Folders() =>
        (Environment.GetEnvironmentVariable("LD_LIBRARY_PATH") ?? "").Split(':').Where(folder => folder.Length > 0)
            .Concat(new[] { "/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib" });

    /// <summary>Marks the need for the version; false where the library has none.</summary>
    private bool Weaken(byte[] elf)
    {
        if (elf.Length < 64 || elf[0] != 0x7f || elf[1] != 'E' || elf[2] != 'L' || elf[3] != 'F' || elf[4] != 2 || elf[5] != 1)
        {
            return false;
        }

        var sections = (long)BitConverter.ToUInt64(elf, 40);
        int size = BitConverter.ToUInt16(elf, 58), count = BitConverter.ToUInt16(elf, 60);
        long Header(int index) => sections + ((long)index * size);
        long Start(long header) => (long)BitConverter.ToUInt64(elf, checked((int)header) + 24);

        var found = false;
        for (var index = 0; index < count; index++)
        {
            var header = Header(index);
            if (BitConverter.ToUInt32(elf, (int)header + 4) != VersionNeeds)
            {
                continue;
            }

            var names = Start(Header((int)BitConverter.ToUInt32(elf, (int)header + 40)));
            var files = BitConverter.ToUInt32(elf, (int)header + 44);
            var need = Start(header);
            for (var file = 0; file < files; file++)
            {
                var version = need + BitConverter.ToUInt32(elf, (int)need + 8);
                for (var left = BitConverter.ToUInt16(elf, (int)need + 2); left > 0; left--)
                {
                    if (NameAt(elf, names + BitConverter.ToUInt32(elf, (int)version + 8)) == Version)
                    {
                        elf[(int)version + 4] |= (byte)Weak;
                        found = true;
                    }

                    version += BitConverter.ToUInt32(elf, (int)version + 12);
                }

                need += BitConverter.ToUInt32(elf, (int)need + 12);
            }
        }

        return found;
    }

    private static string NameAt(byte[] elf, long offset)
    {
        var start = (int)offset;
        return Encoding.ASCII.GetString(elf, start, Array.IndexOf(elf, (byte)0, start) - start);
    }

    private static int Find(byte[] content, byte[] sought)
    {
        for (var at = Array.IndexOf(content, sought[0]); at >= 0; at = Array.IndexOf(content, sought[0], at + 1))
        {
            var length = 0;
            while (length < sought.Length && at + length < content.Length && content[at + length] == sought[length])
            {
                length++;
            }

            if (length == sought.Length)
            {
                return at;
            }
        }

        return -1;
    }
}
