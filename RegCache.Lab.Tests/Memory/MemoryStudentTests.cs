using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Memory;
using RegCache.Lab.Tests.Encoders;
using RegCache.Lab.Training;

namespace RegCache.Lab.Tests.Memory;

public sealed class MemoryStudentTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("student-").FullName;
    private readonly DisposeScope _scope = torch.NewDisposeScope();

    [Fact]
    [Trait("Category", "Golden")]
    public void TheTinyStudentComputesWhatTheForksDoes()
    {
        var golden = GoldenTensors.Load(MemoryGolden.Area, "tiny_memory_clip.safetensors");
        using var teacher = MemoryGolden.Teacher();
        using var student = MemoryGolden.Student();
        using var noGradient = torch.no_grad();
        var images = golden["in.images"][0];
        for (var block = 0; block < student.Vision.Blocks.Count; block++)
        {
            var probe = new BlockOutputs(block);
            student.Vision.Forward(images, block + 1, probe);
            GoldenTensors.AssertClose(golden[$"out.student.block{block}.mlp"], probe.Values[ActivationKind.MlpOut], 1e-4);
            GoldenTensors.AssertClose(golden[$"out.student.block{block}"], probe.Values[ActivationKind.BlockOutput], 1e-4);
        }

        GoldenTensors.AssertClose(golden["out.student_image"], student.Vision.Encode(images), 1e-4);
        GoldenTensors.AssertClose(golden["out.teacher_image"], teacher.Vision.Encode(images), 1e-4);
        GoldenTensors.AssertClose(golden["out.teacher_text"], teacher.Text!.Encode(golden["in.texts"][0]), 1e-4);
    }

    [Fact]
    [Trait("Category", "Golden")]
    public void NamesShapesAndWhatIsTrainedAreTheForks()
    {
        var json = MemoryGolden.Read("tiny_memory_clip.json");
        using var teacher = MemoryGolden.Teacher();
        using var student = MemoryStudent.Of(teacher, MemoryGolden.Memory, MemoryStart.Fork, seed: 0);
        Assert.Equal(
            json.GetProperty("student_state_dict").EnumerateObject().Select(entry => (entry.Name, string.Join(',', entry.Value.EnumerateArray()))),
            student.Weights.Names.Select(name => (name, string.Join(',', student.Weights[name].shape))));
        string[] Names(string field) => [.. json.GetProperty(field).EnumerateArray().Select(name => name.GetString()!).Order(StringComparer.Ordinal)];
        Assert.Equal(Names("trainable"), MemoryStudent.TrainOnlyMemory(student).Order(StringComparer.Ordinal));
        var groups = ParameterGroups.Of(student.Weights, 0.1);
        Assert.Equal(Names("no_decay"), groups.Where(group => group.WeightDecay == 0).SelectMany(group => group.Parameters).Select(parameter => parameter.Name).Order(StringComparer.Ordinal));
        foreach (var name in teacher.Weights.Names.Except(Names("not_copied_correct")))
        {
            GoldenTensors.AssertIdentical(teacher.Weights[name], student.Weights[name].detach(), name);
        }

        foreach (var depth in json.GetProperty("auto_layers").EnumerateObject())
        {
            Assert.Equal(depth.Value.GetString(), string.Join(',', MemoryConfig.EverySecondBlock(int.Parse(depth.Name))));
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("module.")]
    public void ACheckpointOfTheForkIsRecognisedByItsNames(string prefix)
    {
        using (var file = WeightFile.Open(Goldens.Path(MemoryGolden.Area, "tiny_memory_clip.safetensors")))
        {
            SafetensorsWriter.Write(
                Path.Combine(_folder, "epoch_1.safetensors"), MemoryGolden.StudentState(file).Select(entry => entry.Rename($"state_dict.{prefix}{entry.Name}")));
        }

        File.WriteAllText(Path.Combine(_folder, "plain.json"), ClipConfigJson.ToJson(MemoryGolden.TeacherConfig));
        using var loaded = LoadedClip.Load(Path.Combine(_folder, "epoch_1.safetensors"), new() { Config = Path.Combine(_folder, "plain.json") });
        Assert.Equal(MemoryGolden.Memory, loaded.Model.Config.Vision.Memory);
        Assert.Contains(loaded.Assumptions, assumption => assumption.Contains("taken to read 4 slots", StringComparison.Ordinal));
        using var student = MemoryGolden.Student();
        var images = GoldenTensors.Load(MemoryGolden.Area, "tiny_memory_clip.safetensors")["in.images"][0];
        GoldenTensors.AssertIdentical(student.Vision.Encode(images), loaded.Model.Vision.Encode(images));
        Assert.Same(((MemoryLayer)loaded.Model.Vision.Blocks[2].Mlp).Table, ((MemoryLayer)loaded.Model.Vision.Blocks[4].Mlp).Table);
    }

    [Theory]
    [InlineData("plain")]
    [InlineData("separate")]
    [InlineData("bare")]
    [InlineData("gated")]
    [InlineData("experts")]
    [InlineData("narrow")]
    public void AnUntrainedStudentIsTheSameBitForBitAfterSavingAndLoading(string variant)
    {
        using var teacher = RandomModels.Create(RandomModels.Tiny);
        using var student = MemoryStudent.Of(teacher, MemoryPropertyTests.Variant(variant), MemoryStart.Proper, seed: 3);
        ModelFolder.Save(student, _folder);
        using var loaded = LoadedClip.Load(_folder);
        Assert.Equal(student.Config, loaded.Model.Config);
        Assert.Empty(loaded.Differences);
        Assert.Equal(student.Weights.Names, loaded.Model.Weights.Names);
        foreach (var name in student.Weights.Names)
        {
            GoldenTensors.AssertIdentical(student.Weights[name], loaded.Model.Weights[name], name);
        }

        var images = torch.randn(2, 3, 32, 24);
        GoldenTensors.AssertIdentical(student.Vision.Encode(images), loaded.Model.Vision.Encode(images));
        using var noAliases = Rewritten(state => state.Where(entry => variant == "separate" || !entry.Name.Contains("blocks.3.mlp.values", StringComparison.Ordinal)));
        GoldenTensors.AssertIdentical(student.Vision.Encode(images), noAliases.Model.Vision.Encode(images));
    }

    [Fact]
    public void CopiesOfASharedTableThatDifferAreRefused()
    {
        using var teacher = RandomModels.Create(RandomModels.Tiny);
        using var student = MemoryStudent.Of(teacher, MemoryPropertyTests.Variant("plain"), MemoryStart.Proper, seed: 3);
        ModelFolder.Save(student, _folder);
        var message = Assert.Throws<UserException>(() => Rewritten(state => state.Select(entry =>
            entry.Name.Contains("blocks.3.mlp.values", StringComparison.Ordinal) ? WeightEntry.FromTensor(entry.Name, torch.zeros([.. entry.Shape])) : entry))).Message;
        Assert.Contains("visual.transformer.resblocks.3.mlp.values.weight", message, StringComparison.Ordinal);
        Assert.Contains("should be one shared table", message, StringComparison.Ordinal);
    }

    [Fact]
    public void AStudentWhoseSizesDoNotFitTheCheckpointIsRefused()
    {
        using var teacher = RandomModels.Create(RandomModels.Tiny);
        using var student = MemoryStudent.Of(teacher, MemoryPropertyTests.Variant("plain"), MemoryStart.Proper, seed: 3);
        ModelFolder.Save(student, _folder);
        var other = student.Config with { Vision = student.Config.Vision with { Memory = MemoryPropertyTests.Variant("plain") with { SubKeys = 8 } } };
        File.WriteAllText(Path.Combine(_folder, "open_clip_config.json"), ClipConfigJson.ToJson(other));
        var message = Assert.Throws<UserException>(() => LoadedClip.Load(_folder)).Message;
        Assert.Contains("does not fit the configuration", message, StringComparison.Ordinal);
        Assert.Contains("mlp.keys", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("\"mem_knn\": 9", "`mem_knn` is 9")]
    [InlineData("\"mem_k_dim\": 7", "`mem_k_dim` is 7, but must be even")]
    [InlineData("\"layers\": \"2,12\"", "block 12")]
    [InlineData("\"layers\": \"2,2\"", "each once")]
    [InlineData("\"mem_heads\": 0", "mem_heads")]
    [InlineData("\"mem_values\": 3", "mem_values")]
    [InlineData("\"peer_variant\": true", "mem_v_dim")]
    public void ImpossibleMemoriesAreRefusedByName(string field, string reason)
    {
        var json = $"{{\"embed_dim\": 64, \"vision_cfg\": {{\"layers\": 12, \"width\": 128, \"memory_cfg\": {{{field}}}}}}}";
        var path = Path.Combine(_folder, "bad.json");
        File.WriteAllText(path, json);
        var message = Assert.Throws<UserException>(() => ClipConfigJson.Load(path)).Message;
        Assert.Contains(path, message, StringComparison.Ordinal);
        Assert.Contains(reason, message, StringComparison.Ordinal);
    }

    [Fact]
    public void ATeacherWithMemoryOrTooFewBlocksIsRefused()
    {
        using var teacher = RandomModels.Create(RandomModels.Tiny);
        using var student = MemoryStudent.Of(teacher, MemoryPropertyTests.Variant("plain"), MemoryStart.Proper, seed: 3);
        Assert.Throws<UserException>(() => MemoryStudent.Of(student, MemoryPropertyTests.Variant("plain"), MemoryStart.Proper, seed: 3));
        Assert.Contains("automatic rule", Assert.Throws<UserException>(
            () => MemoryStudent.Of(teacher, new() { Blocks = MemoryConfig.EverySecondBlock(2) }, MemoryStart.Proper, seed: 3)).Message, StringComparison.Ordinal);
        using var other = RandomModels.Create(RandomModels.Tiny with { EmbedDim = 16 });
        Assert.Contains("12 channels", Assert.Throws<UserException>(() => MemoryStudent.WithVisionOf(other, student)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void FinetuningBeginsWithTheStudentsVisionAndTheModelsText()
    {
        using var model = RandomModels.Create(RandomModels.Tiny, seed: 8);
        using var teacher = RandomModels.Create(RandomModels.Tiny, seed: 9);
        using var student = MemoryStudent.Of(teacher, MemoryPropertyTests.Variant("plain"), MemoryStart.Proper, seed: 3);
        using var both = MemoryStudent.WithVisionOf(model, student);
        Assert.Equal(student.Weights.Names, both.Weights.Names);
        var images = torch.randn(2, 3, 32, 24);
        GoldenTensors.AssertIdentical(student.Vision.Encode(images), both.Vision.Encode(images));
        GoldenTensors.AssertIdentical(model.Weights["token_embedding.weight"], both.Weights["token_embedding.weight"]);
    }

    public void Dispose()
    {
        _scope.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    // The saved model with other tensors.
    private LoadedClip Rewritten(Func<IEnumerable<WeightEntry>, IEnumerable<WeightEntry>> change)
    {
        var path = Path.Combine(_folder, "open_clip_model.safetensors");
        var copy = Path.Combine(_folder, "copy.safetensors");
        using (var file = WeightFile.Open(path))
        {
            SafetensorsWriter.Write(copy, change(file.Tensors));
        }

        File.Move(copy, path, overwrite: true);
        return LoadedClip.Load(_folder);
    }

    private sealed class BlockOutputs(int wanted) : IActivationProbe
    {
        public Dictionary<ActivationKind, Tensor> Values { get; } = [];

        public bool Wants(int block, ActivationKind kind) => block == wanted && kind is ActivationKind.MlpOut or ActivationKind.BlockOutput;

        public void Observe(int block, ActivationKind kind, Tensor value) => Values[kind] = value.clone().DetachFromDisposeScope();
    }
}
