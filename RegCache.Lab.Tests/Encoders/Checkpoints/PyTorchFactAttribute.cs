
namespace RegCache.Lab.Tests.Encoders.Checkpoints;

/// <summary>A test against a real PyTorch; where the system's Python has none the test is skipped and says so.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class PyTorchFactAttribute : FactAttribute
{
    public const string Python = "/usr/bin/python3";

    private static readonly Lazy<bool> IsPresent = new(() =>
        File.Exists(Python) && ExternalProcess.Run(Python, ["-c", "import torch"]).ExitCode == 0);

    public PyTorchFactAttribute()
    {
        if (!IsPresent.Value)
        {
            Skip = $"needs {Python} with PyTorch (Debian: python3-torch)";
        }
    }
}
