using RegCache.Lab.Notebooks.Jupyter;

namespace RegCache.Lab.Tests.Notebooks;

[Collection(NotebookTests.Name)]
public sealed class KernelSpecTests
{
    [Fact]
    public void ExistingKernelsAreNeverOverwritten()
    {
        using var folder = new TemporaryFolder();
        Environment.SetEnvironmentVariable("JUPYTER_DATA_DIR", folder.Root);
        try
        {
            var first = KernelSpec.Install(["run", "kernel"]);
            Assert.Equal(folder["kernels", ".net-csharp"], first);
            var content = File.ReadAllText(Path.Combine(first, "kernel.json"));
            Assert.Contains("{connection_file}", content, StringComparison.Ordinal);
            Assert.Equal(first, KernelSpec.Install(["run", "kernel"]));
            File.WriteAllText(Path.Combine(first, "kernel.json"), "{}");
            Assert.Equal(folder["kernels", "regcache-csharp"], KernelSpec.Install(["run", "kernel"]));
            Assert.Equal("{}", File.ReadAllText(Path.Combine(first, "kernel.json")));
            var error = Assert.Throws<UserException>(() => KernelSpec.Install(["other", "kernel"]));
            Assert.Contains("jupyter kernelspec remove", error.Message, StringComparison.Ordinal);
        }
        finally
        {
            Environment.SetEnvironmentVariable("JUPYTER_DATA_DIR", null);
        }
    }
}
