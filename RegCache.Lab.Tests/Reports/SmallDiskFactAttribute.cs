using Xunit;

namespace RegCache.Lab.Tests.Reports;

/// <summary>A test that needs a <see cref="SmallDisk"/>; skipped, saying why, where none can be mounted.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class SmallDiskFactAttribute : FactAttribute
{
    private static readonly Lazy<string?> Reason = new(SmallDisk.WhyNot);

    /// <summary>Decides whether the test can run.</summary>
    public SmallDiskFactAttribute() => Skip = Reason.Value;
}
