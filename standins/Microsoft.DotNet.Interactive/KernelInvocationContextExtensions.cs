using Microsoft.DotNet.Interactive.Events;

namespace Microsoft.DotNet.Interactive;

public static class KernelInvocationContextExtensions
{
    public static DisplayedValue Display(this KernelInvocationContext context, object? value, params string[] mimeTypes) =>
        Show(context, value, FormattedValue.CreateManyFromObject(value, mimeTypes));

    public static DisplayedValue DisplayAs(this KernelInvocationContext context, string value, string mimeType) =>
        Show(context, value, [new FormattedValue(mimeType, value)]);

    private static DisplayedValue Show(KernelInvocationContext context, object? value, IReadOnlyList<FormattedValue> formatted)
    {
        var displayed = new DisplayedValue(formatted, context);
        context.Publish(new DisplayedValueProduced(value, context.Command, formatted, displayed.DisplayId));
        return displayed;
    }
}
