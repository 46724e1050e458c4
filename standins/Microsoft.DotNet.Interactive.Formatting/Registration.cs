namespace Microsoft.DotNet.Interactive.Formatting;

/// <summary>A formatter made from a delegate; the type may be an interface, a base class or an open generic type.</summary>
internal sealed class Registration(Type type, string mimeType, FormatDelegate<object> format) : ITypeFormatter
{
    public string MimeType => mimeType;

    public Type Type => type;

    public bool Format(object instance, FormatContext context) => format(instance, context);

    /// <summary>How far a type is from one that a formatter is registered for; null where the formatter does not apply.</summary>
    internal static int? Distance(Type registered, Type actual)
    {
        if (registered == actual)
        {
            return 0;
        }

        var steps = 1;
        for (var current = actual; current is not null && current != typeof(object); current = current.BaseType, steps++)
        {
            if (current == registered || IsConstructed(current, registered))
            {
                return steps;
            }
        }

        const int interfaces = 1000;
        if (registered.IsInterface && actual.GetInterfaces().Any(one => one == registered || IsConstructed(one, registered)))
        {
            return interfaces;
        }

        return registered == typeof(object) ? 2 * interfaces : null;
    }

    private static bool IsConstructed(Type type, Type definition) =>
        definition.IsGenericTypeDefinition && type.IsGenericType && type.GetGenericTypeDefinition() == definition;
}
