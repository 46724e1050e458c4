using Microsoft.DotNet.Interactive.Commands;

namespace Microsoft.DotNet.Interactive.Events;

public class DisplayedValueProduced : DisplayEvent
{
    public DisplayedValueProduced(
        object? value, KernelCommand command, IReadOnlyCollection<FormattedValue>? formattedValues = null, string? valueId = null)
        : base(value, command, formattedValues, valueId)
    {
    }
}
