using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;

namespace RegCache.Lab.Tests.Encoders.Checkpoints;

/// <summary>The loading rules one by one.</summary>
public sealed class StateDictLoaderTests : IDisposable
{
    private static readonly ClipConfig Config = new()
    {
        EmbedDim = 3,
        Vision = new VisionConfig { Layers = 1, Width = 4, HeadWidth = 2, PatchSize = 2, ImageSize = (4, 4) },
        Text = new TextConfig { ContextLength = 5, VocabSize = 7, Width = 4, Heads = 2, Layers = 1 },
    };

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("module.")]
    [InlineData("_orig_mod.")]
    [InlineData("module._orig_mod.")]
    [InlineData("_orig_mod.module.")]
    [InlineData("model.")]
    [InlineData("net.module.clip.")]
    [InlineData("state_dict.model._orig_mod.")]
    public void PrefixesOfParallelAndCompiledModelsAreStripped(string prefix)
    {
        var entries = Entries(Config);

        EntryAssert.Equal(entries, Load(entries.Select(entry => entry.Rename(prefix + entry.Name))).Tensors);
    }

    [Fact]
    public void APrefixMayBeMissingBeforeSomeTensors()
    {
        var entries = Entries(Config);
        var parallelVision = entries.Select(entry => entry.Name.StartsWith("visual.", StringComparison.Ordinal) ? entry.Rename("module." + entry.Name) : entry);
        var compiledInside = entries.Select(entry => entry.Rename(entry.Name.Replace("resblocks.", "resblocks._orig_mod.", StringComparison.Ordinal)));

        EntryAssert.Equal(entries.OrderBy(entry => entry.Name), Load(parallelVision).Tensors.OrderBy(entry => entry.Name));
        EntryAssert.Equal(entries, Load(compiledInside).Tensors);
    }

    [Theory]
    [InlineData("module.")]
    [InlineData("_orig_mod.module.")]
    [InlineData("module._orig_mod.")]
    public void ATowerMayBeParallelInsideItsModel(string wrapper)
    {
        var entries = Entries(Config);
        IEnumerable<WeightEntry> Wrapped(IEnumerable<WeightEntry> plain, string tower) =>
            plain.Select(entry => entry.Rename("clip." + (entry.Name.StartsWith(tower, StringComparison.Ordinal) ? tower + wrapper + entry.Name[tower.Length..] : entry.Name)));

        EntryAssert.Equal(entries, Load(Wrapped(entries, "visual.")).Tensors);
        var huggingFace = HuggingFaceState.FromOpenClip(new("huggingface", entries));
        EntryAssert.Equal(Load(huggingFace).Tensors, Load(Wrapped(huggingFace, "vision_model.")).Tensors);
    }

    [Theory]
    [InlineData("image_encoder.", "")]
    [InlineData("", "")]
    [InlineData("state_dict.backbone.", "optimizer.")]
    public void AVisionTowerMayLieThereOnItsOwn(string prefix, string beside)
    {
        var entries = Entries(Config with { Text = null });
        var alone = entries.Select(entry => entry.Rename(prefix + entry.Name["visual.".Length..]));
        if (beside.Length > 0)
        {
            alone = alone.Append(WeightEntry.FromValues<float>(beside + "conv1.weight", [1f]));
        }

        EntryAssert.Equal(entries, Load(alone).Tensors);
    }

    [Fact]
    public void OfSeveralModelsOneMustBeNamed()
    {
        var entries = Entries(Config);
        List<WeightEntry> both = [.. entries.Select(entry => entry.Rename("model.module." + entry.Name)), .. Entries(Config).Select(entry => entry.Rename("model_ema." + entry.Name))];

        var message = Assert.Throws<UserException>(() => Load(both)).Message;
        Assert.Contains("`model.module` and `model_ema`", message, StringComparison.Ordinal);
        Assert.Contains("--weights-key", message, StringComparison.Ordinal);
        EntryAssert.Equal(entries, Load(both, "model").Tensors);
        EntryAssert.Equal(entries, Load(both, "model_ema").Tensors);
        Assert.Contains("`teacher`", Assert.Throws<UserException>(() => Load(both, "teacher")).Message, StringComparison.Ordinal);

        List<WeightEntry> atRoot = [.. entries, .. entries.Select(entry => entry.Rename("ema." + entry.Name))];
        Assert.Contains("`.` and `ema`", Assert.Throws<UserException>(() => Load(atRoot)).Message, StringComparison.Ordinal);
        EntryAssert.Equal(entries, Load(atRoot, ".").Tensors.Where(entry => !entry.Name.StartsWith("ema.", StringComparison.Ordinal)));
    }

    [Fact]
    public void AModelTakesNoPartOfAnother()
    {
        var tower = Entries(Config with { Text = null });
        List<WeightEntry> withTower = [.. Entries(Config), .. tower.Select(entry => entry.Rename("ema." + entry.Name))];

        EntryAssert.Equal(tower, Load(withTower, "ema").Tensors);
        EntryAssert.Equal(tower, Load(withTower.Select(entry => entry.Rename("state." + entry.Name)), "state.ema").Tensors);
    }

    [Fact]
    public void ATowerWithoutProjectionGivesItsPooledChannels()
    {
        var config = Config with { Text = null, EmbedDim = Config.Vision.Width, Vision = Config.Vision with { HasProjection = false } };
        var state = Load(Entries(config));

        Assert.False(state.Contains("visual.proj"));
        Assert.Equal(config, ClipArchitecture.WithoutAbsentParts(Config, state));
        Assert.Equal(config.Vision, ClipArchitecture.Infer(state, heads: 2).Vision);
        Assert.True(ClipParameters.Compare(state, config).IsEmpty);
    }

    [Fact]
    public void TheTextPrefixIsTakenAwayAndAddedAsTheConfigurationSays()
    {
        var custom = Config with { CustomText = true };
        var entries = Entries(custom);
        var state = Load(entries);

        EntryAssert.Equal(Entries(Config), state.Tensors);
        EntryAssert.Equal(entries, StateDictLoader.Fit(state, custom).Tensors);
        Assert.True(ClipParameters.Compare(StateDictLoader.Fit(state, custom), custom).IsEmpty);
    }

    [Fact]
    public void BuffersThatAreNoWeightsAreDropped()
    {
        string[] extras = ["input_resolution", "context_length", "vocab_size", "attn_mask", "text.transformer.embeddings.position_ids"];
        var entries = Entries(Config);

        EntryAssert.Equal(entries, Load([.. entries, .. extras.Select(name => WeightEntry.FromValues<long>(name, [1L]))]).Tensors);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void LogitScaleGetsTheShapeOfTheModel(bool nonscalar)
    {
        var state = Load(Entries(Config with { NonscalarLogitScale = !nonscalar }));
        var fitted = StateDictLoader.Fit(state, Config with { NonscalarLogitScale = nonscalar });

        Assert.Equal(nonscalar ? [1L] : [], fitted["logit_scale"].Shape);
    }

    [Fact]
    public void AnAbsentLogitBiasIsZero()
    {
        var biased = Config with { InitLogitBias = -10 };
        var fitted = StateDictLoader.Fit(Load(Entries(Config)), biased);

        Assert.Equal([0f], fitted["logit_bias"].ToSingles());
        Assert.True(ClipParameters.Compare(fitted, biased).IsEmpty);
    }

    [Fact]
    public void WhatCannotBeReadKeepsItsNameOnTheWay()
    {
        StateDict Unreadable(params string[] names) => new("odd.pt", Entries(Config).Where(entry => !names.Contains(entry.Name)))
        {
            Unreadable = names.ToDictionary(name => name, _ => "a sparse one"),
        };
        var biased = Config with { InitLogitBias = -10, CustomText = true };

        var fitted = StateDictLoader.Fit(Unreadable("ln_final.bias", "logit_bias"), biased);
        Assert.Equal(["text.ln_final.bias", "logit_bias"], fitted.Unreadable.Keys);
        Assert.False(fitted.Contains("logit_bias"));
        Assert.Equal(["text.ln_final.bias"], StateDictLoader.Fit(Unreadable("ln_final.bias"), biased).Unreadable.Keys);
    }

    [Theory]
    [InlineData("visual_projection.weight", "visual.proj")]
    [InlineData("text_model.final_layer_norm.bias", "ln_final.bias")]
    [InlineData("vision_model.encoder.layers.0.mlp.fc1.bias", "visual.transformer.resblocks.0.mlp.c_fc.bias")]
    [InlineData("vision_model.encoder.layers.0.self_attn.q_proj.bias", "visual.transformer.resblocks.0.attn.in_proj_bias")]
    public void WhatCannotBeReadIsNamedAsItsTensorWouldBe(string huggingFace, string name)
    {
        var odd = HuggingFaceNames.Projections.Select(part => huggingFace.Replace("q_proj", part, StringComparison.Ordinal)).Distinct().ToList();
        var entries = HuggingFaceState.FromOpenClip(new("huggingface", Entries(Config))).Where(entry => !odd.Contains(entry.Name));
        PickleBuilder.WriteStateDict(_folder["odd.pt"], entries, pickle =>
            odd.ForEach(key => PickledObjects.All["sparse tensor"](pickle.Text(key)).Op(PickleOpcode.SetItem)));
        using var file = WeightFile.Open(_folder["odd.pt"]);

        var message = Assert.Throws<UserException>(() => StateDictLoader.Load(file)[name]).Message;
        Assert.Contains($"`{name}`", message, StringComparison.Ordinal);
        Assert.Contains("_rebuild_sparse_tensor", message, StringComparison.Ordinal);
    }

    [Fact]
    public void APartOutsideThePrefixThatCannotBeReadIsNamedToo()
    {
        var entries = Entries(Config).Where(entry => entry.Name != "ln_final.bias")
            .Select(entry => entry.Name.StartsWith("visual.", StringComparison.Ordinal) ? entry.Rename("module." + entry.Name) : entry);
        PickleBuilder.WriteStateDict(
            _folder["odd.pt"], entries, pickle => PickledObjects.All["sparse tensor"](pickle.Text("ln_final.bias")).Op(PickleOpcode.SetItem));
        using var file = WeightFile.Open(_folder["odd.pt"]);

        Assert.Equal(["ln_final.bias"], StateDictLoader.Load(file).Unreadable.Keys);
    }

    [Fact]
    public void PositionTablesAreResizedToTheConfiguration()
    {
        var larger = Config with
        {
            Vision = Config.Vision with { ImageSize = (6, 8) },
            Text = Config.Text! with { ContextLength = 9 },
        };
        var fitted = StateDictLoader.Fit(Load(Entries(Config)), larger);

        Assert.True(ClipParameters.Compare(fitted, larger).IsEmpty);
        Assert.Equal(
            Entries(Config).Single(entry => entry.Name == "visual.positional_embedding").ToSingles()[..Config.Vision.Width],
            fitted["visual.positional_embedding"].ToSingles()[..Config.Vision.Width]);
    }

    [Fact]
    public void TablesThatAreNoSquareCannotBeResized()
    {
        var entries = Entries(Config).Select(entry =>
            entry.Name == "visual.positional_embedding" ? WeightEntry.FromValues<float>(entry.Name, new float[7 * 4], 7, 4) : entry);

        Assert.Contains("7 positions", Assert.Throws<UserException>(() => StateDictLoader.Fit(Load(entries), Config)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void DifferencesAreListed()
    {
        var entries = Entries(Config).Where(entry => entry.Name != "visual.proj").Append(WeightEntry.FromValues<float>("extra", [1f]));
        var state = Load(entries).Select(entry => entry.Name == "ln_final.bias" ? WeightEntry.FromValues<float>(entry.Name, [1f, 2f], 2) : entry);
        var differences = ClipParameters.Compare(state, Config);

        Assert.Equal(["visual.proj"], differences.Missing);
        Assert.Equal(["extra"], differences.Unexpected);
        Assert.Single(differences.WrongShapes);
        Assert.Equal(
            "1 tensor is missing (visual.proj), 1 tensor is of another shape (ln_final.bias Float32 [2] instead of [4]), 1 tensor is not part of the model (extra)",
            differences.ToString());
    }

    [Fact]
    public void IncompleteAttentionOfHuggingFaceIsNamed()
    {
        var entries = HuggingFaceState.FromOpenClip(Load(Entries(Config)));
        const string Key = "vision_model.encoder.layers.0.self_attn.k_proj.weight";

        Assert.Contains(Key, Assert.Throws<UserException>(() => Load(entries.Where(entry => entry.Name != Key))).Message, StringComparison.Ordinal);
        Assert.Contains(
            "do not fit together",
            Assert.Throws<UserException>(() => Load(entries.Select(entry => entry.Name == Key ? WeightEntry.FromValues<float>(Key, [1f], 1, 1) : entry))).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void VisionTowersAloneAreRecognised()
    {
        var state = Load(Entries(Config with { Text = null }));

        Assert.Null(ClipArchitecture.WithoutAbsentParts(Config, state).Text);
        Assert.NotNull(ClipArchitecture.WithoutAbsentParts(Config, Load(Entries(Config))).Text);
    }

    [Fact]
    public void FilesWithoutAStateDictAreRefused()
    {
        var pickle = new PickleBuilder().Op(PickleOpcode.EmptyDict).Text("epoch").Int(1).Op(PickleOpcode.SetItem);
        using var file = WeightFile.Open(pickle.WriteZip(_folder["empty.pt"]));

        Assert.Contains("no tensors", Assert.Throws<UserException>(() => StateDictLoader.Load(file)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void ShapesThatAreNoVisionTransformerAreNamed()
    {
        Assert.Contains("visual.attnpool", InferenceFails(WeightEntry.FromValues<float>("visual.layer1.0.conv1.weight", [1f])), StringComparison.Ordinal);
        Assert.Contains("visual.positional_embedding", InferenceFails(WeightEntry.FromValues<float>("w", [1f])), StringComparison.Ordinal);
        Assert.Contains("--heads", InferenceFails([.. Entries(Config)]), StringComparison.Ordinal);
    }

    [Fact]
    public void CubicMatricesKeepConstants()
    {
        foreach (var (from, to) in new[] { (7, 16), (16, 7), (1, 5), (5, 1), (9, 9) })
        {
            var matrix = PositionEmbeddings.CubicMatrix(from, to);
            Assert.All(Enumerable.Range(0, to), row => Assert.Equal(1.0, Enumerable.Range(0, from).Sum(column => matrix[row, column]), 12));
        }
    }

    private static List<WeightEntry> Entries(ClipConfig config) =>
    [
        .. ClipParameters.Of(config).Select((parameter, seed) =>
        {
            var random = new Random(seed);
            var count = parameter.Shape.Aggregate(1L, (product, size) => product * size);
            return WeightEntry.FromValues<float>(parameter.Name, Enumerable.Range(0, (int)count).Select(_ => random.NextSingle()).ToArray(), parameter.Shape);
        }),
    ];

    private static string InferenceFails(params WeightEntry[] entries) =>
        Assert.Throws<UserException>(() => ClipArchitecture.Infer(new StateDict("shapes.pt", entries))).Message;

    private StateDict Load(IEnumerable<WeightEntry> entries, string? key = null)
    {
        var path = _folder["state.pt"];
        PickleBuilder.WriteStateDict(path, entries);
        using var file = WeightFile.Open(path);

        // Copied, so that the file can be closed.
        return StateDictLoader.Load(file, key).Select(entry =>
            WeightEntry.FromBytes(entry.Name, entry.Type, EntryAssert.Bytes(entry), [.. entry.Shape]));
    }
}
