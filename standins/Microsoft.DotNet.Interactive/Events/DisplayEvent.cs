using Microsoft.DotNet.Interactive.Commands;

namespace Microsoft.DotNet.Interactive.Events;

public abstract class DisplayEvent : KernelEvent
{
    protected DisplayEvent(
        object? value, KernelCommand command, IReadOnlyCollection<FormattedValue>? formattedValues = null, string? valueId = null)
        : base(command)
    {
        Value = value;
        FormattedValues = formattedValues ?? [];
        ValueId = valueId;
    }

    public IReadOnlyCollection<FormattedValue> FormattedValues { get; }

    public object? Value { get; }

    public string? ValueId { get; }

    public override string ToString() => $"{GetType().Name}: {Value}";
}
