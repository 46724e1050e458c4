using System.Reflection;
using Microsoft.AspNetCore.Html;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.DotNet.Interactive;
using Microsoft.DotNet.Interactive.Commands;
using Microsoft.DotNet.Interactive.Events;
using Microsoft.DotNet.Interactive.Formatting;
using Microsoft.DotNet.Interactive.PackageManagement;
using RegCache.Lab.Notebooks.Formats;
using RegCache.Lab.Notebooks.Pages;

namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>The C# kernel of the kit: the engine behind the API that extensions, formatters and <c>display</c> know.</summary>
internal sealed class NotebookKernel : Microsoft.DotNet.Interactive.Kernel, IObserver<KernelEvent>
{
    private readonly ScriptReferences _references;
    private readonly ScriptEngine _engine;
    private readonly HashSet<Assembly> _inspected = [];
    private readonly PackageRestoreContext _packages = new();

    public NotebookKernel(ScriptReferences references, ScriptEngine engine)
        : base("csharp")
    {
        _references = references;
        _engine = engine;
        RegisterCommandHandler<RunCell>(HandleAsync);
        RegisterCommandHandler<SubmitCode>(HandleAsync);
        RegisterCommandHandler<RequestInput>(HandleAsync);
        RegisterForDisposal(KernelEvents.Subscribe(this));
        RegisterForDisposal(_packages);
    }

    // Values that are shown, and what is printed: the console is redirected for every command.
    public void OnNext(KernelEvent value)
    {
        if (value is not DisplayEvent shown || CellRun.Current is not { } run)
        {
            return;
        }

        if (shown is StandardOutputValueProduced or StandardErrorValueProduced)
        {
            run.Streams.Write(
                shown is StandardOutputValueProduced ? ConsoleChannel.Out : ConsoleChannel.Error, shown.FormattedValues.First().Value);
            return;
        }

        var content = MimeBundle.Of(shown.Value, shown.FormattedValues);
        run.Streams.Flush();
        switch (shown)
        {
            case ReturnValueProduced:
                run.Output.Result(content);
                break;
            case DisplayedValueUpdated:
                run.Output.Update(content, shown.ValueId!);
                break;
            case DisplayedValueProduced:
                run.Output.Display(content, shown.ValueId);
                break;
        }
    }

    public void OnCompleted()
    {
    }

    public void OnError(Exception error)
    {
    }

    private async Task HandleAsync(RunCell command, KernelInvocationContext context)
    {
        try
        {
            await RunAsync(command.Code, command.Cell, command.Run, command, context);
        }
        catch (CompilationFailedException failure)
        {
            command.Error = failure.Error;
        }
        catch (Exception) when (command.Run.Token.IsCancellationRequested)
        {
            command.Error = CellErrors.Stopped();
        }
        catch (Exception exception)
        {
            command.Error = CellErrors.Of(exception);
        }
    }

    // Code that a cell submits: it belongs to the cell's run.
    private Task HandleAsync(SubmitCode command, KernelInvocationContext context) => CellRun.Current is { } run
        ? RunAsync(command.Code, 0, run, command, context)
        : throw new InvalidOperationException("Code can be submitted only from a running cell.");

    // What the functions GetInputAsync and GetPasswordAsync of .NET Interactive send.
    private static Task HandleAsync(RequestInput command, KernelInvocationContext context)
    {
        var run = CellRun.Current ?? throw new InvalidOperationException("Only a running cell can ask for input.");
        run.Streams.Flush();
        context.Publish(new InputProduced(run.Output.ReadLine(command.Prompt, command.IsPassword), command));
        return Task.CompletedTask;
    }

    private async Task RunAsync(string code, int cell, CellRun run, KernelCommand command, KernelInvocationContext context)
    {
        var outer = CellRun.Current;
        CellRun.Current = run;
        try
        {
            await AddReferencesAsync(code, run.Token);
            var (hasValue, value) = await _engine.RunAsync(code, cell, run);
            if (hasValue)
            {
                context.Publish(new ReturnValueProduced(value, command, FormattedValue.CreateManyFromObject(value)));
            }
        }
        finally
        {
            CellRun.Current = outer;
        }
    }

    private async Task AddReferencesAsync(string code, CancellationToken cancellation)
    {
        var root = (CompilationUnitSyntax)await ScriptEngine.Parse(code).GetRootAsync(cancellation);
        foreach (var directive in root.GetReferenceDirectives().Where(directive => !directive.File.IsMissing))
        {
            var text = directive.File.ValueText;
            try
            {
                if (text.StartsWith("nuget:", StringComparison.OrdinalIgnoreCase))
                {
                    _references.AddPackage(text, await RestoreAsync(text, cancellation));
                }
                else
                {
                    await LoadExtensionsAsync(_references.AddReference(text));
                }
            }
            catch (UserException exception)
            {
                var line = directive.GetLocation().GetLineSpan().StartLinePosition.Line + 1;
                throw new CompilationFailedException(new CellError(nameof(UserException), exception.Message, line, [exception.Message]));
            }
        }
    }

    private async Task<IReadOnlyList<ResolvedPackageReference>> RestoreAsync(string directive, CancellationToken cancellation)
    {
        if (!PackageReference.TryParse(directive, out var package))
        {
            throw new UserException($"#r \"{directive}\" cannot be read; write #r \"nuget: NAME, VERSION\".");
        }

        if (_packages.GetOrAddPackageReference(package.PackageName, package.PackageVersion) is null)
        {
            throw new UserException($"Another version of the package {package.PackageName} is in use; restart the kernel to change it.");
        }

        var result = await Task.Run(_packages.RestoreAsync, cancellation).WaitAsync(cancellation);
        return result.Succeeded
            ? [.. result.ResolvedReferences]
            : throw new UserException(
                $"The package {package.PackageName} cannot be had: {result.Errors.First().Split(" : error ")[^1].Trim().TrimEnd('.')}. "
                + "Name a version that a registry has, or reference a built assembly with #r \"path\".");
    }

    private async Task LoadExtensionsAsync(Assembly assembly)
    {
        if (!_inspected.Add(assembly))
        {
            return;
        }

        foreach (var type in ExportedTypes(assembly).Where(type => type.IsAssignableTo(typeof(IKernelExtension)) && !type.IsAbstract))
        {
            if (type.GetConstructor(Type.EmptyTypes) is { } create)
            {
                await ((IKernelExtension)create.Invoke(null)).OnLoadAsync(this);

                // The plot package's own extension would fetch plotly.js from the network.
                PlotFormat.Register();
            }
        }
    }

    private static Type[] ExportedTypes(Assembly assembly)
    {
        try
        {
            return assembly.GetExportedTypes();
        }
        catch (Exception exception) when (exception is FileNotFoundException or TypeLoadException)
        {
            // Some of its types need what is not there; cells that use the others run all the same.
            return [];
        }
    }
}

/// <summary>Runs C# of a cell in the kernel. A command of its own, so that the code reaches the engine as written.</summary>
internal sealed class RunCell(string code, int cell, CellRun run) : KernelCommand
{
    public string Code => code;

    public int Cell => cell;

    public CellRun Run => run;

    /// <summary>The error, where there was one.</summary>
    public CellError? Error { get; set; }
}

/// <summary>What cells call without naming a class: the functions of <see cref="Microsoft.DotNet.Interactive.Kernel"/> of the same names.</summary>
public static class CellFunctions
{
    /// <summary>Shows a value.</summary>
    /// <returns>What was shown, to be updated. That of <c>Kernel.display</c> 1.0.0-beta.26120.1 has another name than what was shown.</returns>
    public static DisplayedValue display(object value, params string[] mimeTypes) => KernelInvocationContext.Current is { } context
        ? context.Display(value, mimeTypes)
        : Microsoft.DotNet.Interactive.Kernel.display(value, mimeTypes);

    /// <summary>A text that is HTML.</summary>
    public static IHtmlContent HTML(string content) => Microsoft.DotNet.Interactive.Kernel.HTML(content);

    /// <summary>Runs a script in the front end.</summary>
    public static void Javascript(string script) => Microsoft.DotNet.Interactive.Kernel.Javascript(script);
}
