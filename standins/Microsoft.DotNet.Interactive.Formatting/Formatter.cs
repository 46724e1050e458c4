using System.Collections.Concurrent;
using System.Reflection;

namespace Microsoft.DotNet.Interactive.Formatting;

public static class Formatter
{
    private const int InitialListExpansionLimit = 20;
    private const int InitialRecursionLimit = 6;
    private const string InitialNullString = "<null>";
    private static readonly Lock Gate = new();
    private static readonly List<ITypeFormatter> Registered = [];
    private static readonly ConcurrentDictionary<(Type Type, string MimeType), ITypeFormatter> Chosen = [];
    private static readonly ConcurrentDictionary<Type, string[]> PreferredMimeTypes = [];
    private static readonly HashSet<Type> Inspected = [];

    public static string DefaultMimeType { get; set; } = HtmlFormatter.MimeType;

    public static int ListExpansionLimit { get; set; } = InitialListExpansionLimit;

    public static string NullString { get; set; } = InitialNullString;

    public static int RecursionLimit { get; set; } = InitialRecursionLimit;

    public static void FormatTo<T>(this T obj, FormatContext context, string mimeType)
    {
        if (obj is null)
        {
            Write(context, mimeType, NullString);
            return;
        }

        if (!context.TryEnter())
        {
            Write(context, mimeType, obj.ToString() ?? string.Empty);
            return;
        }

        try
        {
            if (!GetPreferredFormatterFor(obj.GetType(), mimeType).Format(obj, context))
            {
                Write(context, mimeType, obj.ToString() ?? string.Empty);
            }
        }
        finally
        {
            context.Leave();
        }
    }

    public static ITypeFormatter GetPreferredFormatterFor(Type actualType, string mimeType)
    {
        InspectAttributes(actualType);
        return Chosen.GetOrAdd((actualType, mimeType), static key => new Registration(key.Type, key.MimeType, (value, context) =>
        {
            foreach (var formatter in Candidates(key.Type, key.MimeType))
            {
                if (formatter.Format(value, context))
                {
                    return true;
                }
            }

            return DefaultFormats.TryFormat(value, context, key.MimeType);
        }));
    }

    public static IReadOnlyCollection<string> GetPreferredMimeTypesFor(Type type)
    {
        InspectAttributes(type);
        var preferred = PreferredMimeTypes
            .Select(entry => (Distance: Registration.Distance(entry.Key, type), entry.Value))
            .Where(entry => entry.Distance is not null)
            .OrderBy(entry => entry.Distance)
            .Select(entry => entry.Value)
            .FirstOrDefault();
        return preferred ?? DefaultFormats.PreferredMimeTypes(type) ?? [DefaultMimeType];
    }

    public static void Register(ITypeFormatter formatter)
    {
        lock (Gate)
        {
            Registered.Insert(0, formatter);
        }
    }

    public static void Register(Type type, FormatDelegate<object> formatter, string mimeType = PlainTextFormatter.MimeType) =>
        Register(new Registration(type, mimeType, formatter));

    public static void Register(Type type, Action<object, TextWriter> formatter, string mimeType = PlainTextFormatter.MimeType) =>
        Register(type, (value, context) =>
        {
            formatter(value, context.Writer);
            return true;
        }, mimeType);

    public static void Register<T>(FormatDelegate<T> formatter, string mimeType = PlainTextFormatter.MimeType) =>
        Register(typeof(T), (value, context) => value is T typed && formatter(typed, context), mimeType);

    public static void Register<T>(Action<T, TextWriter> formatter, string mimeType = PlainTextFormatter.MimeType) =>
        Register<T>((value, context) =>
        {
            formatter(value, context.Writer);
            return true;
        }, mimeType);

    public static void Register<T>(Func<T, string> formatter, string mimeType = PlainTextFormatter.MimeType) =>
        Register<T>((value, writer) => writer.Write(formatter(value)), mimeType);

    public static void ResetToDefault()
    {
        lock (Gate)
        {
            Registered.Clear();
            Inspected.Clear();
        }

        Chosen.Clear();
        PreferredMimeTypes.Clear();
        DefaultMimeType = HtmlFormatter.MimeType;
        ListExpansionLimit = InitialListExpansionLimit;
        RecursionLimit = InitialRecursionLimit;
        NullString = InitialNullString;
    }

    public static void SetPreferredMimeTypesFor(Type type, params string[] preferredMimeTypes) =>
        PreferredMimeTypes[type] = preferredMimeTypes;

    public static string ToDisplayString(this object? obj, string mimeType = PlainTextFormatter.MimeType)
    {
        using var writer = new StringWriter();
        using var context = new FormatContext(writer);
        obj.FormatTo(context, mimeType);
        return writer.ToString();
    }

    public static string ToDisplayString(this object? obj, ITypeFormatter formatter)
    {
        using var writer = new StringWriter();
        using var context = new FormatContext(writer);
        if (obj is null)
        {
            Write(context, formatter.MimeType, NullString);
        }
        else
        {
            formatter.Format(obj, context);
        }

        return writer.ToString();
    }

    private static void Write(FormatContext context, string mimeType, string text) =>
        context.Writer.Write(mimeType == HtmlFormatter.MimeType ? text.HtmlEncode().ToString() : text);

    private static ITypeFormatter[] Candidates(Type type, string mimeType)
    {
        lock (Gate)
        {
            return [.. Registered
                .Where(formatter => formatter.MimeType == mimeType)
                .Select(formatter => (Formatter: formatter, Distance: Registration.Distance(formatter.Type, type)))
                .Where(candidate => candidate.Distance is not null)
                .OrderBy(candidate => candidate.Distance)
                .Select(candidate => candidate.Formatter)];
        }
    }

    private static void InspectAttributes(Type type)
    {
        lock (Gate)
        {
            if (!Inspected.Add(type))
            {
                return;
            }
        }

        if (type.GetCustomAttribute<TypeFormatterSourceAttribute>() is not { } attribute)
        {
            return;
        }

        if (Activator.CreateInstance(attribute.FormatterSourceType, nonPublic: true) is ITypeFormatterSource source)
        {
            foreach (var formatter in source.CreateTypeFormatters())
            {
                Register(formatter);
            }
        }

        if (attribute.PreferredMimeTypes is { Length: > 0 } preferred)
        {
            SetPreferredMimeTypesFor(type, preferred);
        }
    }
}
