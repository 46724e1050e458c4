namespace RegCache.Lab.Encoders;

/// <summary>A linear layer of a backend that can also run what lies around it.</summary>
public interface IBackendLinear : ILinear
{
    /// <summary>The backend.</summary>
    IBlockBackend Backend { get; }
}
