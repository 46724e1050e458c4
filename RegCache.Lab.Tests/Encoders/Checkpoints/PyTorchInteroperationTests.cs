using RegCache.Lab.Encoders.Checkpoints;

namespace RegCache.Lab.Tests.Encoders.Checkpoints;

/// <summary>What a real PyTorch writes is read.</summary>
[Trait("Category", "Slow")]
public sealed class PyTorchInteroperationTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [PyTorchFact]
    public void ThisKitReadsWhatPyTorchWrites()
    {
        var (modern, legacy, script) = (_folder["modern.pt"], _folder["legacy.pt"], _folder["script.pt"]);
        Python(
            """
            import sys, torch
            base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
            model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.LayerNorm(2))
            with torch.no_grad():
                for i, p in enumerate(model.parameters()): p.fill_(i + 1)
            state = model.state_dict()
            state["view"] = base[1:3, ::2].t()
            state["expanded"] = torch.tensor([7.]).expand(3)
            state["parameter"] = torch.nn.Parameter(base[0])
            state["types"] = {str(t): torch.ones(2).to(t) for t in (torch.bfloat16, torch.bool, torch.int8, torch.uint8, torch.int16)}
            state["size"] = base.shape
            state["set"] = {1}
            torch.save(state, sys.argv[1])
            torch.save(state, sys.argv[2], _use_new_zipfile_serialization=False)
            torch.jit.save(torch.jit.script(model), sys.argv[3])
            """,
            modern, legacy, script);
        float[] view = [6, 12, 8, 14, 10, 16];
        foreach (var path in new[] { modern, legacy })
        {
            using var file = WeightFile.Open(path);
            Assert.Equal(path == legacy ? WeightContainer.TorchLegacy : WeightContainer.TorchZip, file.Container);
            Assert.Equal([1f, 1f, 1f, 1f, 1f, 1f], file["0.weight"].ToSingles());
            Assert.Equal([4f, 4f], file["1.bias"].ToSingles());
            Assert.Equal(view, file["view"].ToSingles());
            Assert.Equal([7f, 7f, 7f], file["expanded"].ToSingles());
            Assert.Equal([0f, 1f, 2f, 3f, 4f, 5f], file["parameter"].ToSingles());
            Assert.All(file.Tensors.Where(entry => entry.Name.StartsWith("types.", StringComparison.Ordinal)), entry => Assert.Equal([1f, 1f], entry.ToSingles()));
            Assert.Equal([4L, 6L], Assert.IsType<object?[]>(((PythonDict)file.Root!)["size"]));
        }

        using var archive = WeightFile.Open(script);
        Assert.Equal(WeightContainer.TorchScript, archive.Container);
        Assert.Equal([2f, 2f], archive["0.bias"].ToSingles());
    }

    [PyTorchFact]
    public void WholeModulesAreReadAsTheirStateDict()
    {
        var path = _folder["module.pt"];
        Python("import sys, torch; torch.save(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)), sys.argv[1])", path);
        using var file = WeightFile.Open(path);

        Assert.Equal(
            ["0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked"], file.Tensors.Select(entry => entry.Name));
    }

    private static void Python(string program, params string[] arguments)
    {
        var (exitCode, _, error) = ExternalProcess.Run(PyTorchFactAttribute.Python, ["-c", program, .. arguments]);
        Assert.True(exitCode == 0, error);
    }
}
