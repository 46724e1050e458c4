using System.Reflection;
using System.Text;

namespace RegCache.Lab.Tests.Standins;

/// <summary>The names that XML documentation gives to types and parameters.</summary>
internal static class DocId
{
    /// <summary>A type as it is declared: <c>System.Collections.Generic.List`1</c>.</summary>
    public static string Name(Type type)
    {
        var definition = type.IsGenericType ? type.GetGenericTypeDefinition() : type;
        return definition.IsNested ? $"{Name(definition.DeclaringType!)}.{definition.Name}" : definition.FullName!;
    }

    /// <summary>A type as it is used: <c>System.Collections.Generic.List{System.Int64}</c>.</summary>
    public static string Reference(Type type)
    {
        if (type.IsGenericParameter)
        {
            return (type.DeclaringMethod is null ? "`" : "``") + type.GenericParameterPosition;
        }

        if (type.IsArray)
        {
            var rank = type.GetArrayRank();
            return Reference(type.GetElementType()!) + (rank == 1 ? "[]" : $"[{string.Join(',', Enumerable.Repeat("0:", rank))}]");
        }

        if (type.IsByRef)
        {
            return Reference(type.GetElementType()!) + "@";
        }

        if (type.IsPointer)
        {
            return Reference(type.GetElementType()!) + "*";
        }

        return type.IsGenericType ? Constructed(type) : Name(type);
    }

    /// <summary>The parameters' types in parentheses; nothing where there are none.</summary>
    public static string Parameters(ParameterInfo[] parameters) =>
        parameters.Length == 0 ? "" : $"({string.Join(',', parameters.Select(parameter => Reference(parameter.ParameterType)))})";

    // A nested type has its outer types' arguments before its own; each part of the name takes as many as it declares.
    private static string Constructed(Type type)
    {
        var arguments = new Queue<Type>(type.GetGenericArguments());
        var text = new StringBuilder();
        foreach (var part in Name(type).Split('.'))
        {
            text.Append(text.Length > 0 ? "." : "");
            var tick = part.IndexOf('`', StringComparison.Ordinal);
            text.Append(tick < 0 ? part : part[..tick]);
            if (tick >= 0)
            {
                var own = Enumerable.Range(0, int.Parse(part.AsSpan(tick + 1))).Select(_ => Reference(arguments.Dequeue()));
                text.Append('{').AppendJoin(',', own).Append('}');
            }
        }

        return text.ToString();
    }
}
