namespace SixLabors.ImageSharp;

public sealed class Configuration
{
    public static Configuration Default { get; } = new();
}
