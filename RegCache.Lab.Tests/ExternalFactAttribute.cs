namespace RegCache.Lab.Tests;

/// <summary>
/// A test that needs a file which may not be kept in the repository (upstream data); skipped, with the reason, where
/// the file is absent.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ExternalFactAttribute : FactAttribute
{
    public ExternalFactAttribute(string area, params string[] parts)
    {
        if (Goldens.ExternalPath(area, parts) is null)
        {
            Skip = $"{Path.Combine([area, .. parts])} may not be kept in the repository and is not beside it; name its folder in REGCACHE_GOLDENS.";
        }
    }
}
