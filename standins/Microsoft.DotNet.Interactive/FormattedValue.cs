using Microsoft.DotNet.Interactive.Formatting;

namespace Microsoft.DotNet.Interactive;

public class FormattedValue
{
    public FormattedValue(string mimeType, string value)
    {
        MimeType = mimeType;
        Value = value;
    }

    public string MimeType { get; }

    public string Value { get; }

    public static IReadOnlyList<FormattedValue> CreateManyFromObject(object? value, params string[] mimeTypes)
    {
        var wanted = mimeTypes is { Length: > 0 }
            ? mimeTypes
            : value is null ? [PlainTextFormatter.MimeType] : Formatter.GetPreferredMimeTypesFor(value.GetType());
        return [.. wanted.Select(mimeType => CreateSingleFromObject(value, mimeType))];
    }

    public static FormattedValue CreateSingleFromObject(object? value, string? mimeType = null)
    {
        mimeType ??= value is null ? PlainTextFormatter.MimeType : Formatter.GetPreferredMimeTypesFor(value.GetType()).First();
        return new FormattedValue(mimeType, value.ToDisplayString(mimeType));
    }

    public override string ToString() => $"{MimeType}: {Value}";
}
