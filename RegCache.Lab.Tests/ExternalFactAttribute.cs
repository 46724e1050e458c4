namespace RegCache.Lab.Tests;

/// <summary>
/// A test that needs upstream data which may not be kept in the repository; where the data is absent the test is skipped
/// and says so.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ExternalFactAttribute : FactAttribute
{
    public ExternalFactAttribute(string area, params string[] parts)
    {
        Area = area;
        Parts = parts;
        if (Goldens.ExternalPath(area, parts) is null)
        {
            Skip = $"needs {area}/{string.Join('/', parts)} in the folder named by REGCACHE_GOLDENS or in ../shared";
        }
    }

    public string Area { get; }

    public string[] Parts { get; }
}
