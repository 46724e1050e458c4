using Microsoft.DotNet.Interactive;

namespace System;

public static class DisplayExtensions
{
    public static DisplayedValue Display(this object? value, params string[] mimeTypes) => Context.Display(value, mimeTypes);

    public static DisplayedValue DisplayAs(this string value, string mimeType) => Context.DisplayAs(value, mimeType);

    private static KernelInvocationContext Context =>
        KernelInvocationContext.Current
        ?? throw new InvalidOperationException("Values can be displayed only while a notebook cell runs.");
}
