using System.ComponentModel;
using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>
/// Inserts the calls of <see cref="Interruption"/> into loops, jumps, methods and between the statements of a cell, and puts one in the
/// place of <c>Environment.Exit</c>. Adds no line, so that errors keep their line numbers.
/// </summary>
internal sealed class CellRewriter : CSharpSyntaxRewriter
{
    private static readonly string[] ExitNames = ["Environment.Exit", "System.Environment.Exit", "global::System.Environment.Exit"];
    private static readonly ExpressionSyntax ExitMethod = SyntaxFactory.ParseExpression($"global::{typeof(Interruption).FullName}.{nameof(Interruption.Exit)}");
    private static readonly StatementSyntax CheckCall = Call(nameof(Interruption.Check));
    private static readonly StatementSyntax EnterCall = Call(nameof(Interruption.Enter));

    // A method that is inlined has no line of its own in a stack trace.
    private static readonly AttributeListSyntax NotInlined = ((MethodDeclarationSyntax)SyntaxFactory.ParseMemberDeclaration(
        "[global::System.Runtime.CompilerServices.MethodImpl(global::System.Runtime.CompilerServices.MethodImplOptions.NoInlining)] void F() { }")!)
        .AttributeLists[0].WithoutTrivia();

    public static SyntaxTree Rewrite(SyntaxTree tree) => SyntaxFactory.SyntaxTree(
        new CellRewriter().Visit(tree.GetRoot()), tree.Options, tree.FilePath, tree.Encoding);

    public override SyntaxNode? VisitCompilationUnit(CompilationUnitSyntax node)
    {
        var visited = (CompilationUnitSyntax)base.VisitCompilationUnit(node)!;
        var members = new List<MemberDeclarationSyntax>();
        foreach (var member in visited.Members)
        {
            // Not before the very first: what stands above it (#r, using) keeps its place.
            if (members.Count > 0 && member is GlobalStatementSyntax or FieldDeclarationSyntax)
            {
                members.Add(SyntaxFactory.GlobalStatement(CheckCall));
            }

            members.Add(member);
        }

        return visited.WithMembers(SyntaxFactory.List(members));
    }

    public override SyntaxNode? VisitWhileStatement(WhileStatementSyntax node)
    {
        var visited = (WhileStatementSyntax)base.VisitWhileStatement(node)!;
        return visited.WithStatement(Prepend(CheckCall, visited.Statement));
    }

    public override SyntaxNode? VisitDoStatement(DoStatementSyntax node)
    {
        var visited = (DoStatementSyntax)base.VisitDoStatement(node)!;
        return visited.WithStatement(Prepend(CheckCall, visited.Statement));
    }

    public override SyntaxNode? VisitForStatement(ForStatementSyntax node)
    {
        var visited = (ForStatementSyntax)base.VisitForStatement(node)!;
        return visited.WithStatement(Prepend(CheckCall, visited.Statement));
    }

    public override SyntaxNode? VisitForEachStatement(ForEachStatementSyntax node)
    {
        var visited = (ForEachStatementSyntax)base.VisitForEachStatement(node)!;
        return visited.WithStatement(Prepend(CheckCall, visited.Statement));
    }

    public override SyntaxNode? VisitForEachVariableStatement(ForEachVariableStatementSyntax node)
    {
        var visited = (ForEachVariableStatementSyntax)base.VisitForEachVariableStatement(node)!;
        return visited.WithStatement(Prepend(CheckCall, visited.Statement));
    }

    public override SyntaxNode? VisitGotoStatement(GotoStatementSyntax node) => Prepend(CheckCall, node);

    public override SyntaxNode? VisitMethodDeclaration(MethodDeclarationSyntax node)
    {
        var visited = (MethodDeclarationSyntax)base.VisitMethodDeclaration(node)!;
        if (visited.Body is not null || visited.ExpressionBody is not null)
        {
            visited = visited.WithAttributeLists(WithoutInlining(visited.AttributeLists));
        }

        return visited.ExpressionBody is { } arrow
            ? visited.WithExpressionBody(null).WithSemicolonToken(default)
                .WithBody(Body(arrow, ReturnsNothing(visited.ReturnType, visited.Modifiers), visited.SemicolonToken))
            : visited.WithBody(Enter(visited.Body));
    }

    public override SyntaxNode? VisitLocalFunctionStatement(LocalFunctionStatementSyntax node)
    {
        var visited = (LocalFunctionStatementSyntax)base.VisitLocalFunctionStatement(node)!;
        if (visited.Body is not null || visited.ExpressionBody is not null)
        {
            visited = visited.WithAttributeLists(WithoutInlining(visited.AttributeLists));
        }

        return visited.ExpressionBody is { } arrow
            ? visited.WithExpressionBody(null).WithSemicolonToken(default)
                .WithBody(Body(arrow, ReturnsNothing(visited.ReturnType, visited.Modifiers), visited.SemicolonToken))
            : visited.WithBody(Enter(visited.Body));
    }

    public override SyntaxNode? VisitAccessorDeclaration(AccessorDeclarationSyntax node)
    {
        var visited = (AccessorDeclarationSyntax)base.VisitAccessorDeclaration(node)!;
        return visited.WithBody(Enter(visited.Body));
    }

    public override SyntaxNode? VisitConstructorDeclaration(ConstructorDeclarationSyntax node)
    {
        var visited = (ConstructorDeclarationSyntax)base.VisitConstructorDeclaration(node)!;
        return visited.WithBody(Enter(visited.Body));
    }

    public override SyntaxNode? VisitSimpleLambdaExpression(SimpleLambdaExpressionSyntax node)
    {
        var visited = (SimpleLambdaExpressionSyntax)base.VisitSimpleLambdaExpression(node)!;
        return visited.WithBlock(Enter(visited.Block));
    }

    public override SyntaxNode? VisitParenthesizedLambdaExpression(ParenthesizedLambdaExpressionSyntax node)
    {
        var visited = (ParenthesizedLambdaExpressionSyntax)base.VisitParenthesizedLambdaExpression(node)!;
        return visited.WithBlock(Enter(visited.Block));
    }

    public override SyntaxNode? VisitAnonymousMethodExpression(AnonymousMethodExpressionSyntax node)
    {
        var visited = (AnonymousMethodExpressionSyntax)base.VisitAnonymousMethodExpression(node)!;
        return visited.WithBlock(Enter(visited.Block)!);
    }

    public override SyntaxNode? VisitInvocationExpression(InvocationExpressionSyntax node)
    {
        var visited = (InvocationExpressionSyntax)base.VisitInvocationExpression(node)!;
        return ExitNames.Contains(string.Concat(visited.Expression.DescendantTokens().Select(token => token.Text)))
            ? visited.WithExpression(ExitMethod.WithTriviaFrom(visited.Expression))
            : visited;
    }

    private static SyntaxList<AttributeListSyntax> WithoutInlining(SyntaxList<AttributeListSyntax> lists) =>
        lists.SelectMany(list => list.Attributes).Any(attribute => attribute.Name.ToString().Contains("MethodImpl", StringComparison.Ordinal))
            ? lists
            : lists.Add(NotInlined);

    private static StatementSyntax Call(string method) =>
        SyntaxFactory.ParseStatement($"global::{typeof(Interruption).FullName}.{method}();");

    private static BlockSyntax? Enter(BlockSyntax? body) => body is null ? null : Prepend(EnterCall, body);

    private static BlockSyntax Prepend(StatementSyntax call, StatementSyntax statement) =>
        statement is BlockSyntax block ? block.WithStatements(block.Statements.Insert(0, call)) : SyntaxFactory.Block(call, statement);

    private static BlockSyntax Body(ArrowExpressionClauseSyntax arrow, bool returnsNothing, SyntaxToken semicolon)
    {
        var expression = arrow.Expression;
        StatementSyntax statement = expression is ThrowExpressionSyntax thrown
            ? SyntaxFactory.ThrowStatement(thrown.Expression).WithThrowKeyword(thrown.ThrowKeyword)
            : returnsNothing
                ? SyntaxFactory.ExpressionStatement(expression)
                : SyntaxFactory.ReturnStatement(expression).WithReturnKeyword(
                    SyntaxFactory.Token(SyntaxFactory.TriviaList(), SyntaxKind.ReturnKeyword, SyntaxFactory.TriviaList(SyntaxFactory.Space)));

        // The arrow may stand at the end of a line with the expression below it: that line end is kept.
        var open = SyntaxFactory.Token(SyntaxKind.OpenBraceToken).WithLeadingTrivia(arrow.ArrowToken.LeadingTrivia).WithTrailingTrivia(arrow.ArrowToken.TrailingTrivia);
        var close = SyntaxFactory.Token(SyntaxKind.CloseBraceToken).WithTrailingTrivia(semicolon.TrailingTrivia);
        return SyntaxFactory.Block(open, SyntaxFactory.List([EnterCall, statement]), close);
    }

    private static bool ReturnsNothing(TypeSyntax type, SyntaxTokenList modifiers) =>
        type is PredefinedTypeSyntax { Keyword.RawKind: (int)SyntaxKind.VoidKeyword }
        || (modifiers.Any(SyntaxKind.AsyncKeyword)
            && (type is QualifiedNameSyntax qualified ? qualified.Right : type) is IdentifierNameSyntax { Identifier.Text: "Task" or "ValueTask" });
}

/// <summary>
/// What <see cref="CellRewriter"/> inserts into the code of cells, so that a loop that asks for no token can be stopped, and endless
/// recursion and <c>Environment.Exit</c> are exceptions, not the end of the process with all that the notebook holds. Costs one read of a static field while nothing is being interrupted.
/// </summary>
[EditorBrowsable(EditorBrowsableState.Never)]
public static class Interruption
{
    private static volatile int _raised;

    /// <summary>At every turn of a loop.</summary>
    /// <exception cref="OperationCanceledException">The cell that the calling code runs for has been interrupted.</exception>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Check()
    {
        if (_raised > 0)
        {
            ThrowIfInterrupted();
        }
    }

    /// <summary>At the entry of every method.</summary>
    /// <exception cref="OperationCanceledException">The cell that the calling code runs for has been interrupted.</exception>
    /// <exception cref="InsufficientExecutionStackException">The calls are nested too deep.</exception>
    public static void Enter()
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        Check();
    }

    /// <summary>In place of <c>Environment.Exit</c>.</summary>
    /// <exception cref="UserException">Always.</exception>
    [DoesNotReturn]
    public static void Exit(int exitCode) => throw new UserException(
        $"The cell asked to end the program (Environment.Exit({exitCode})), which would take the notebook's state along; `return` ends a cell, an exception the run.");

    internal static void Raise() => Interlocked.Increment(ref _raised);

    internal static void Lower() => Interlocked.Decrement(ref _raised);

    // Which run the code belongs to is asked only while some run is being interrupted: the answer is slow.
    private static void ThrowIfInterrupted() => CellRun.Current?.Token.ThrowIfCancellationRequested();
}
