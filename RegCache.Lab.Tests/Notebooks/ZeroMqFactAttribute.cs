namespace RegCache.Lab.Tests.Notebooks;

/// <summary>A test that needs libzmq.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class ZeroMqFactAttribute : FactAttribute
{
    public ZeroMqFactAttribute() => Skip = Tools.Missing(Tools.HasZeroMq, "libzmq5");
}
