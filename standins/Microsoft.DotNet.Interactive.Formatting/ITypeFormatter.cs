namespace Microsoft.DotNet.Interactive.Formatting;

public interface ITypeFormatter
{
    string MimeType { get; }

    Type Type { get; }

    bool Format(object instance, FormatContext context);
}
