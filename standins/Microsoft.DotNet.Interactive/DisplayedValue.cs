using Microsoft.DotNet.Interactive.Events;

namespace Microsoft.DotNet.Interactive;

public class DisplayedValue
{
    private readonly KernelInvocationContext _context;
    private readonly string[] _mimeTypes;

    public DisplayedValue(IReadOnlyList<FormattedValue> formattedValues, KernelInvocationContext context)
        : this(Guid.NewGuid().ToString("N"), formattedValues, context)
    {
    }

    internal DisplayedValue(string displayId, IReadOnlyList<FormattedValue> formattedValues, KernelInvocationContext context)
    {
        DisplayId = displayId;
        FormattedValues = formattedValues;
        _mimeTypes = [.. formattedValues.Select(value => value.MimeType)];
        _context = context;
    }

    public string DisplayId { get; }

    public IReadOnlyList<FormattedValue> FormattedValues { get; private set; }

    public void Update(object? updatedValue)
    {
        FormattedValues = FormattedValue.CreateManyFromObject(updatedValue, _mimeTypes);

        // A value may be updated by a later command than the one that showed it.
        var context = KernelInvocationContext.Current ?? _context;
        context.Publish(new DisplayedValueUpdated(updatedValue, DisplayId, context.Command, FormattedValues));
    }
}
