using Microsoft.DotNet.Interactive.Commands;

namespace Microsoft.DotNet.Interactive.Events;

public class DisplayedValueUpdated : DisplayEvent
{
    public DisplayedValueUpdated(
        object? value, string valueId, KernelCommand command, IReadOnlyCollection<FormattedValue>? formattedValues = null)
        : base(value, command, formattedValues, valueId)
    {
    }
}
