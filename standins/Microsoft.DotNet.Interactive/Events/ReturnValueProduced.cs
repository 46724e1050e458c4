using Microsoft.DotNet.Interactive.Commands;

namespace Microsoft.DotNet.Interactive.Events;

public class ReturnValueProduced : DisplayEvent
{
    public ReturnValueProduced(
        object? value, KernelCommand command, IReadOnlyCollection<FormattedValue>? formattedValues = null, string? valueId = null)
        : base(value, command, formattedValues, valueId)
    {
    }
}
