using System.Collections;
using System.Globalization;
using System.Reflection;
using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Html;

namespace Microsoft.DotNet.Interactive.Formatting;

/// <summary>How values look for which nothing is registered.</summary>
internal static class DefaultFormats
{
    private const string TextPlain = PlainTextFormatter.MimeType;
    private const string TextHtml = HtmlFormatter.MimeType;

    public static string[]? PreferredMimeTypes(Type type)
    {
        if (typeof(IHtmlContent).IsAssignableFrom(type))
        {
            return [TextHtml];
        }

        if (type == typeof(LaTeXString))
        {
            return ["text/latex"];
        }

        return type == typeof(string) || IsScalar(type) || OwnToString(type) ? [TextPlain] : null;
    }

    public static bool TryFormat(object value, FormatContext context, string mimeType)
    {
        switch (mimeType)
        {
            case TextHtml:
                WriteHtml(value, context);
                return true;
            case TextPlain:
                WritePlain(value, context);
                return true;
            case "text/latex" when value is LaTeXString:
                context.Writer.Write(value.ToString());
                return true;
            default:
                return false;
        }
    }

    private static bool IsScalar(Type type) =>
        type.IsPrimitive || type.IsEnum || type == typeof(decimal) || typeof(IFormattable).IsAssignableFrom(type)
        || typeof(Type).IsAssignableFrom(type) || Nullable.GetUnderlyingType(type) is not null;

    /// <summary>Whether a type says for itself how it reads: records and the types with a ToString of their own.</summary>
    private static bool OwnToString(Type type) =>
        !typeof(IEnumerable).IsAssignableFrom(type)
        && type.GetMethod(nameof(ToString), Type.EmptyTypes) is { } method
        && method.DeclaringType != typeof(object) && method.DeclaringType != typeof(ValueType)
        && !IsAnonymous(type);

    private static bool IsAnonymous(Type type) => type.Name.Contains("AnonymousType", StringComparison.Ordinal);

    private static string Text(object value) =>
        value is IFormattable formattable ? formattable.ToString(null, CultureInfo.InvariantCulture) : value.ToString() ?? string.Empty;

    private static void WritePlain(object value, FormatContext context)
    {
        var writer = context.Writer;
        var type = value.GetType();
        if (value is string || IsScalar(type) || OwnToString(type))
        {
            writer.Write(Text(value));
        }
        else if (value is IHtmlContent html)
        {
            html.WriteTo(writer, HtmlEncoder.Default);
        }
        else if (value is IEnumerable sequence)
        {
            writer.Write("[ ");
            WriteItems(sequence, ", ", item => item.FormatTo(context, TextPlain), text => writer.Write(text));
            writer.Write(" ]");
        }
        else
        {
            writer.Write(IsAnonymous(type) ? "{ " : $"{type.Name} {{ ");
            var separator = string.Empty;
            foreach (var (name, content) in Members(value))
            {
                writer.Write($"{separator}{name} = ");
                content.FormatTo(context, TextPlain);
                separator = ", ";
            }

            writer.Write(" }");
        }
    }

    private static void WriteHtml(object value, FormatContext context)
    {
        var writer = context.Writer;
        var type = value.GetType();
        if (value is IHtmlContent html)
        {
            html.WriteTo(writer, HtmlEncoder.Default);
        }
        else if (value is LaTeXString latex)
        {
            writer.Write($"$${HtmlEncoder.Default.Encode(latex.ToString())}$$");
        }
        else if (value is string || IsScalar(type) || OwnToString(type))
        {
            var text = HtmlEncoder.Default.Encode(Text(value));
            writer.Write(context.Depth <= 1 ? $"<pre>{text}</pre>" : text);
        }
        else if (value is IDictionary dictionary)
        {
            HtmlTables.WritePairs(context, "key", "value", dictionary.Keys.Cast<object>().Select(key => (key, dictionary[key])));
        }
        else if (value is IEnumerable sequence)
        {
            HtmlTables.WriteSequence(context, sequence, ColumnsOf);
        }
        else
        {
            HtmlTables.WritePairs(context, type.Name, string.Empty, Members(value).Select(member => ((object)member.Name, member.Value)));
        }
    }

    private static IReadOnlyList<(string Name, object? Value)>? ColumnsOf(object item)
    {
        var type = item.GetType();
        return item is string or IEnumerable || IsScalar(type) || (OwnToString(type) && !IsRecord(type)) ? null : [.. Members(item)];
    }

    private static bool IsRecord(Type type) => type.GetMethod("<Clone>$") is not null;

    private static IEnumerable<(string Name, object? Value)> Members(object value)
    {
        foreach (var property in value.GetType().GetProperties(BindingFlags.Public | BindingFlags.Instance))
        {
            if (property.GetMethod is { IsPublic: true } && property.GetIndexParameters().Length == 0)
            {
                yield return (property.Name, Read(() => property.GetValue(value)));
            }
        }

        foreach (var field in value.GetType().GetFields(BindingFlags.Public | BindingFlags.Instance))
        {
            yield return (field.Name, Read(() => field.GetValue(value)));
        }
    }

    private static object? Read(Func<object?> read)
    {
        try
        {
            return read();
        }
        catch (TargetInvocationException exception)
        {
            return $"({exception.InnerException?.GetType().Name}: {exception.InnerException?.Message})";
        }
        catch (NotSupportedException exception)
        {
            // A ref struct (a span, for one) cannot be read by reflection.
            return $"({exception.Message})";
        }
    }

    private static void WriteItems(IEnumerable sequence, string separator, Action<object?> write, Action<string> writeText)
    {
        var count = 0;
        foreach (var item in sequence)
        {
            if (count == Formatter.ListExpansionLimit)
            {
                writeText(sequence is ICollection collection ? $" ... ({collection.Count - count} more)" : " ... (more)");
                return;
            }

            if (count++ > 0)
            {
                writeText(separator);
            }

            write(item);
        }
    }
}
