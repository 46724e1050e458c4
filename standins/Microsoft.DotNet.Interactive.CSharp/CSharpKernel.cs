using System.Diagnostics.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp.Scripting;
using Microsoft.CodeAnalysis.CSharp.Syntax;
using Microsoft.CodeAnalysis.Scripting;
using Microsoft.DotNet.Interactive.Commands;
using Microsoft.DotNet.Interactive.Events;

namespace Microsoft.DotNet.Interactive.CSharp;

public class CSharpKernel : Kernel
{
    private readonly SemaphoreSlim _oneAtATime = new(1);
    private ScriptOptions _options = ScriptOptions.Default
        .WithReferences(Trusted())
        .WithImports(
            "System", "System.IO", "System.Text", "System.Collections.Generic", "System.Linq", "System.Threading.Tasks",
            "Microsoft.DotNet.Interactive", "Microsoft.DotNet.Interactive.Formatting", "Microsoft.DotNet.Interactive.Kernel");

    public CSharpKernel()
        : this("csharp")
    {
    }

    public CSharpKernel(string name)
        : base(name) => RegisterCommandHandler<SubmitCode>(RunAsync);

    public ScriptState? ScriptState { get; private set; }

    public void AddAssemblyReferences(IEnumerable<string> assemblyPaths) => _options = _options.AddReferences(assemblyPaths);

    public bool TryGetValue<T>(string name, [MaybeNullWhen(false)] out T value)
    {
        if (ScriptState?.GetVariable(name)?.Value is T found)
        {
            value = found;
            return true;
        }

        value = default;
        return false;
    }

    private static IEnumerable<string> Trusted() =>
        ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator).Where(File.Exists);

    private async Task RunAsync(SubmitCode command, KernelInvocationContext context)
    {
        await _oneAtATime.WaitAsync(context.CancellationToken);
        try
        {
            var script = ScriptState is null
                ? CSharpScript.Create(command.Code, _options)
                : ScriptState.Script.ContinueWith(command.Code, _options);
            ScriptState = ScriptState is null
                ? await script.RunAsync(cancellationToken: context.CancellationToken)
                : await script.RunFromAsync(ScriptState, context.CancellationToken);
            if (EndsWithExpression(script))
            {
                var value = ScriptState.ReturnValue;
                context.Publish(new ReturnValueProduced(value, command, FormattedValue.CreateManyFromObject(value)));
            }
        }
        finally
        {
            _oneAtATime.Release();
        }
    }

    private static bool EndsWithExpression(Script script) =>
        script.GetCompilation().SyntaxTrees.Last().GetRoot() is CompilationUnitSyntax { Members: [.., GlobalStatementSyntax last] }
        && last.Statement is ExpressionStatementSyntax { SemicolonToken.IsMissing: true };
}
