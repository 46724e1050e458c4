namespace RegCache.Lab.Encoders;

/// <summary>A linear layer of an engine that can also run what lies around it.</summary>
public interface IEngineLinear : ILinear
{
    /// <summary>The engine.</summary>
    IBlockEngine Engine { get; }
}
