using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using System.Runtime.InteropServices;
using System.Runtime.Loader;
using System.Text;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.Text;
using Microsoft.DotNet.Interactive;

namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>
/// The assemblies that cells compile against and run with. An assembly that the kernel itself runs with is never loaded a second time
/// from elsewhere: its types would not be the kernel's.
/// </summary>
internal sealed class ScriptReferences : MetadataReferenceResolver, IDisposable
{
    private static readonly IReadOnlyDictionary<string, string> HostFiles = FindHostFiles();
    private readonly Dictionary<string, PortableExecutableReference> _byName = new(StringComparer.OrdinalIgnoreCase);
    private readonly Dictionary<string, string> _probing = new(StringComparer.OrdinalIgnoreCase);
    private readonly Dictionary<string, PortableExecutableReference> _resolved = [];
    private readonly List<string> _nativeFolders = [];

    public ScriptReferences()
    {
        var framework = Path.GetDirectoryName(typeof(object).Assembly.Location);
        foreach (var file in HostFiles.Values.Where(file => Path.GetDirectoryName(file) == framework))
        {
            AddFile(file);
        }

        Type[] own =
        [
            typeof(ScriptReferences), typeof(Microsoft.DotNet.Interactive.Kernel), typeof(Microsoft.DotNet.Interactive.Formatting.Formatter),
            typeof(Microsoft.AspNetCore.Html.IHtmlContent),
        ];
        foreach (var type in own)
        {
            AddFile(type.Assembly.Location);
        }

        AssemblyLoadContext.Default.Resolving += ResolveManaged;
        AssemblyLoadContext.Default.ResolvingUnmanagedDll += ResolveNative;
    }

    /// <summary>What a cell compiles against now.</summary>
    public IEnumerable<MetadataReference> All => _byName.Values;

    /// <summary>The folder that relative paths start from.</summary>
    public string BaseFolder { get; set; } = Environment.CurrentDirectory;

    /// <summary>Says what a reader of the notebook should know about a reference.</summary>
    public Action<string>? Notice { get; set; }

    /// <summary>Adds what <c>#r "..."</c> names, and what that needs and lies beside it.</summary>
    /// <returns>The assembly, loaded.</returns>
    /// <exception cref="UserException">There is no such assembly.</exception>
    public Assembly AddReference(string directive)
    {
        var path = Path.GetFullPath(directive, BaseFolder);
        if (!File.Exists(path))
        {
            var isFile = directive.EndsWith(".dll", StringComparison.OrdinalIgnoreCase);
            var host = HostFiles.GetValueOrDefault(isFile ? Path.GetFileNameWithoutExtension(path) : directive)
                ?? throw new UserException($"#r \"{directive}\" names no assembly: there is no file {path}; build it, or correct the path.");
            if (isFile && Path.GetFileName(directive) != directive)
            {
                Notice?.Invoke($"There is no file {path}; the kernel's own {Path.GetFileName(host)} is used.");
            }

            path = host;
        }

        _resolved[directive] = AddClosure(path);
        return Load(_byName[NameOf(path)].FilePath!);
    }

    /// <summary>Adds the assemblies of a package and of those that it needs.</summary>
    public void AddPackage(string directive, IReadOnlyList<ResolvedPackageReference> packages)
    {
        var files = packages.SelectMany(package => package.AssemblyPaths).ToArray();
        foreach (var file in files)
        {
            _probing[Path.GetFileNameWithoutExtension(file)] = file;
        }

        _nativeFolders.AddRange(packages.SelectMany(NativeFolders).Except(_nativeFolders));
        foreach (var file in files)
        {
            _resolved[directive] = AddClosure(file);
        }

        _resolved.TryAdd(directive, _byName[typeof(object).Assembly.GetName().Name!]);
    }

    public override System.Collections.Immutable.ImmutableArray<PortableExecutableReference> ResolveReference(
        string reference, string? baseFilePath, MetadataReferenceProperties properties) =>
        _resolved.TryGetValue(reference, out var found) ? [found] : [];

    public override bool Equals(object? other) => ReferenceEquals(this, other);

    public override int GetHashCode() => System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(this);

    public void Dispose()
    {
        AssemblyLoadContext.Default.Resolving -= ResolveManaged;
        AssemblyLoadContext.Default.ResolvingUnmanagedDll -= ResolveNative;
    }

    private static IEnumerable<string> NativeFolders(ResolvedPackageReference package)
    {
        var system = OperatingSystem.IsWindows() ? "win" : OperatingSystem.IsMacOS() ? "osx" : "linux";
        return new[] { RuntimeInformation.RuntimeIdentifier, $"{system}-{RuntimeInformation.OSArchitecture.ToString().ToLowerInvariant()}" }
            .Select(runtime => Path.Combine(package.PackageRoot, "runtimes", runtime, "native"))
            .Where(Directory.Exists);
    }

    private static Dictionary<string, string> FindHostFiles()
    {
        var files = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        var trusted = AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES") as string ?? string.Empty;
        foreach (var file in trusted.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries))
        {
            files.TryAdd(Path.GetFileNameWithoutExtension(file), file);
        }

        return files;
    }

    private static Assembly Load(string path)
    {
        try
        {
            return AssemblyLoadContext.Default.LoadFromAssemblyPath(path);
        }
        catch (Exception exception) when (exception is BadImageFormatException or FileLoadException)
        {
            throw new UserException($"The assembly {path} cannot be loaded: {exception.Message}", exception);
        }
    }

    private static string NameOf(string path) => Path.GetFileNameWithoutExtension(path);

    private PortableExecutableReference AddClosure(string path)
    {
        var file = path;
        if (HostFiles.TryGetValue(NameOf(path), out var host) && !string.Equals(host, path, StringComparison.Ordinal))
        {
            if (ModuleId(host) != ModuleId(path))
            {
                Notice?.Invoke($"The kernel runs with its own {Path.GetFileName(host)}, which is another build than {path}; the kernel's is used.");
            }

            file = host;
        }

        var known = _byName.TryGetValue(NameOf(file), out var reference);
        reference ??= AddFile(file);
        if (known && HostFiles.ContainsKey(NameOf(file)) && Path.GetDirectoryName(path) == Path.GetDirectoryName(file))
        {
            return reference;
        }

        _probing.TryAdd(NameOf(file), file);
        foreach (var needed in Dependencies(file))
        {
            if (!_byName.ContainsKey(needed) && Locate(needed, path) is { } dependency)
            {
                AddClosure(dependency);
            }
        }

        return reference;
    }

    private string? Locate(string name, string neededBy)
    {
        var beside = Path.Combine(Path.GetDirectoryName(neededBy)!, name + ".dll");
        return HostFiles.GetValueOrDefault(name) ?? _probing.GetValueOrDefault(name) ?? (File.Exists(beside) ? beside : null);
    }

    private PortableExecutableReference AddFile(string path)
    {
        var documentation = Path.ChangeExtension(path, ".xml");
        var reference = MetadataReference.CreateFromFile(
            path, documentation: File.Exists(documentation) ? XmlDocumentationProvider.CreateFromFile(documentation) : null);
        return _byName[NameOf(path)] = reference;
    }

    private static string[] Dependencies(string path) => Read(path, metadata =>
        metadata.AssemblyReferences.Select(handle => metadata.GetString(metadata.GetAssemblyReference(handle).Name)).ToArray());

    private static Guid ModuleId(string path) => Read(path, metadata => metadata.GetGuid(metadata.GetModuleDefinition().Mvid));

    private static T Read<T>(string path, Func<MetadataReader, T> read)
    {
        try
        {
            using var image = new PEReader(File.OpenRead(path));
            return read(image.GetMetadataReader());
        }
        catch (Exception exception) when (exception is BadImageFormatException or InvalidOperationException)
        {
            throw new UserException($"The file {path} is not a .NET assembly; name one that is.", exception);
        }
    }

    private Assembly? ResolveManaged(AssemblyLoadContext context, AssemblyName name) =>
        name.Name is { } simple && _probing.TryGetValue(simple, out var path) ? context.LoadFromAssemblyPath(path) : null;

    private nint ResolveNative(Assembly assembly, string name)
    {
        foreach (var folder in _nativeFolders)
        {
            foreach (var file in new[] { name, $"lib{name}.so", $"{name}.dll", $"lib{name}.dylib", $"{name}.so" })
            {
                if (NativeLibrary.TryLoad(Path.Combine(folder, file), out var handle))
                {
                    return handle;
                }
            }
        }

        return 0;
    }
}

/// <summary>Finds the files of <c>#load</c> beside the notebook, or beside the file that loads them, and makes them interruptible too.</summary>
internal sealed class CellSourceResolver(ScriptReferences references) : SourceReferenceResolver
{
    public override string? NormalizePath(string path, string? baseFilePath) => ResolveReference(path, baseFilePath);

    public override string? ResolveReference(string path, string? baseFilePath)
    {
        var folder = baseFilePath is not null && File.Exists(baseFilePath) ? Path.GetDirectoryName(baseFilePath)! : references.BaseFolder;
        var full = Path.GetFullPath(path, folder);
        return File.Exists(full) ? full : null;
    }

    public override Stream OpenRead(string resolvedPath) => new MemoryStream(Encoding.UTF8.GetBytes(Rewritten(resolvedPath)));

    public override SourceText ReadText(string resolvedPath) => SourceText.From(Rewritten(resolvedPath), Encoding.UTF8);

    public override bool Equals(object? other) => ReferenceEquals(this, other);

    public override int GetHashCode() => System.Runtime.CompilerServices.RuntimeHelpers.GetHashCode(this);

    private static string Rewritten(string path)
    {
        // The text is parsed again: where an inserted call stands before a directive on its line, the file is taken as it is.
        var original = ScriptEngine.Parse(File.ReadAllText(path), path);
        var text = CellRewriter.Rewrite(original).ToString();
        return original.GetDiagnostics().Any() || !ScriptEngine.Parse(text, path).GetDiagnostics().Any() ? text : original.ToString();
    }
}
