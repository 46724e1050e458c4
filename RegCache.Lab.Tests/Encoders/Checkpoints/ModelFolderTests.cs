using System.Globalization;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Tests.Encoders.Text;

namespace RegCache.Lab.Tests.Encoders.Checkpoints;

/// <summary>A model's files are found as published, and what is missing is named with where to get it.</summary>
public sealed class ModelFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void PreferredNamesComeFirst()
    {
        Put("model.safetensors", "open_clip_pytorch_model.bin", "other.pt");

        Assert.Equal("open_clip_pytorch_model.bin", Path.GetFileName(ModelFolder.Open(_folder.Root).Weights));
        Assert.Equal("open_clip_pytorch_model.bin", Path.GetFileName(ModelFolder.Open("local-dir:" + _folder.Root).Weights));
    }

    [Fact]
    public void AnyOtherNameServesWhenItIsTheOnlyOne()
    {
        Put("epoch_3.pt", "notes.txt");
        Assert.Equal("epoch_3.pt", Path.GetFileName(ModelFolder.Open(_folder.Root).Weights));

        Put("epoch_4.pt");
        Assert.Contains("epoch_3.pt, epoch_4.pt", Complaint(() => ModelFolder.Open(_folder.Root)), StringComparison.Ordinal);
        Assert.Equal("epoch_4.pt", Path.GetFileName(ModelFolder.Open(_folder["epoch_4.pt"]).Weights));
    }

    [Fact]
    public void MissingPartsAreNamedWithWhereToGetThem()
    {
        Assert.Contains("neither", Complaint(() => ModelFolder.Open(_folder["absent"])), StringComparison.Ordinal);
        Assert.Contains("open_clip_model.safetensors", Complaint(() => ModelFolder.Open(_folder.Root)), StringComparison.Ordinal);

        Put("model.safetensors");
        var tokenizer = Complaint(() => ModelFolder.Open(_folder.Root).LoadTokenizer(new TextConfig()));
        Assert.Contains("bpe_simple_vocab_16e6.txt.gz", tokenizer, StringComparison.Ordinal);
        Assert.Contains("tokenizer.json", tokenizer, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("open_clip_config.json")]
    [InlineData("model.json")]
    [InlineData("model_config.json")]
    [InlineData("config.json")]
    public void ConfigurationsBesideTheWeightsAreFound(string name)
    {
        Put("model.safetensors");
        File.WriteAllText(_folder[name], ClipConfigJson.ToJson(ClipConfigs.Get("ViT-S-16")));

        Assert.Equal(_folder[name], ModelFolder.Open(_folder["model.safetensors"]).Config);
    }

    [Fact]
    public void FilesThatAreNoConfigurationAreLeftAlone()
    {
        Put("model.safetensors");
        File.WriteAllText(_folder["config.json"], """{"learning_rate":0.1}""");

        Assert.Null(ModelFolder.Open(_folder.Root).Config);
    }

    [Fact]
    public void PreprocessingOfOpenClip()
    {
        Put("open_clip_model.safetensors");
        File.WriteAllText(
            _folder["open_clip_config.json"],
            """{"model_cfg":{},"preprocess_cfg":{"mean":[0.5,0.25,0.125],"std":[0.5,0.5,1],"interpolation":"bilinear","resize_mode":"squash"}}""");

        var expected = new PreprocessOptions(224, 224)
        {
            Mean = new RgbValues(0.5f, 0.25f, 0.125f),
            StandardDeviation = new RgbValues(0.5f, 0.5f, 1),
            Interpolation = Interpolation.Bilinear,
            ResizeMode = ResizeMode.Squash,
        };
        Assert.Equal(expected, ModelFolder.Open(_folder.Root).LoadPreprocess(new VisionConfig()));
    }

    [Fact]
    public void PreprocessingOfHuggingFace()
    {
        Put("model.safetensors");
        Assert.Equal(new PreprocessOptions(224, 224), ModelFolder.Open(_folder.Root).LoadPreprocess(new VisionConfig()));

        File.WriteAllText(_folder["preprocessor_config.json"], """{"image_mean":[0.5,0.5,0.5],"resample":2}""");
        var options = ModelFolder.Open(_folder.Root).LoadPreprocess(new VisionConfig());
        Assert.Equal(new RgbValues(0.5f, 0.5f, 0.5f), options.Mean);
        Assert.Equal(Interpolation.Bilinear, options.Interpolation);
    }

    [Theory]
    [InlineData("""{"size":{"shortest_edge":256},"crop_size":{"height":224,"width":224}}""", 256, 256, ResizeMode.Shortest)]
    [InlineData("""{"size":256,"crop_size":224,"do_center_crop":true}""", 256, 256, ResizeMode.Shortest)]
    [InlineData("""{"size":{"height":240,"width":260},"crop_size":224}""", 240, 260, ResizeMode.Squash)]
    [InlineData("""{"size":{"height":224,"width":224},"do_center_crop":false}""", null, null, ResizeMode.Squash)]
    [InlineData("""{"size":224,"crop_size":224,"image_processor_type":"CLIPImageProcessor","do_rescale":true,"rescale_factor":0.00392156862745098,"do_normalize":true,"do_convert_rgb":true}""", null, null, ResizeMode.Shortest)]
    public void SizesOfHuggingFace(string json, int? height, int? width, ResizeMode mode)
    {
        var options = HuggingFacePreprocess(json);

        Assert.Equal(height is null ? null : (height.Value, width!.Value), options.ResizeTo);
        Assert.Equal((224, 224, mode), (options.Height, options.Width, options.ResizeMode));
        Assert.Equal(PreprocessOptions.OpenAiMean, options.Mean);
    }

    [Fact]
    public void NormalizationOfHuggingFace()
    {
        var plain = HuggingFacePreprocess("""{"do_normalize":false}""");
        Assert.Equal((RgbValues.All(0), RgbValues.All(1)), (plain.Mean, plain.StandardDeviation));

        var bytes = HuggingFacePreprocess("""{"do_rescale":false,"image_mean":127.5,"image_std":[127.5,127.5,127.5]}""");
        Assert.Equal((1, RgbValues.All(127.5), RgbValues.All(127.5)), (bytes.Divisor, bytes.Mean, bytes.StandardDeviation));

        var doubled = HuggingFacePreprocess($$"""{"rescale_factor":{{(2.0 / 255).ToString("R", CultureInfo.InvariantCulture)}},"image_mean":[1,1,1],"image_std":[1,1,1]}""");
        Assert.Equal(127.5, doubled.Divisor, 12);
        Assert.Equal((RgbValues.All(1), RgbValues.All(1)), (doubled.Mean, doubled.StandardDeviation));
    }

    [Theory]
    [InlineData("""{"do_resize":false,"do_center_crop":false}""", "do_resize")]
    [InlineData("""{"do_center_crop":false}""", "do_center_crop")]
    [InlineData("""{"crop_size":336}""", "crop_size")]
    [InlineData("""{"size":{"height":384,"width":384},"do_center_crop":false}""", "size")]
    [InlineData("""{"size":{"longest_edge":224}}""", "size.longest_edge")]
    [InlineData("""{"resample":1}""", "resample")]
    [InlineData("""{"rescale_factor":0}""", "rescale_factor")]
    [InlineData("""{"do_pad":true}""", "do_pad")]
    [InlineData("""{"image_processor_type":"ConvNextImageProcessor"}""", "image_processor_type")]
    [InlineData("""{"image_mean":[1,2]}""", "image_mean")]
    public void PreprocessingThatIsNotDoneIsRefusedByName(string json, string named) =>
        Assert.Contains(named, Complaint(() => HuggingFacePreprocess(json)), StringComparison.Ordinal);

    [Theory]
    [InlineData("""{"size":240}""", "preprocess_cfg.size")]
    [InlineData("""{"size":[224,240]}""", "preprocess_cfg.size")]
    [InlineData("""{"mode":"L"}""", "preprocess_cfg.mode")]
    [InlineData("""{"resize_mode":"pad"}""", "preprocess_cfg.resize_mode")]
    public void PreprocessingOfOpenClipThatIsNotDoneIsRefusedByName(string json, string named)
    {
        Put("open_clip_model.safetensors");
        File.WriteAllText(_folder["open_clip_config.json"], $$"""{"model_cfg":{},"preprocess_cfg":{{json}} }""");

        Assert.Contains(named, Complaint(() => ModelFolder.Open(_folder.Root).LoadPreprocess(new VisionConfig())), StringComparison.Ordinal);
    }

    [Fact]
    public void PreprocessingAsOpenClipPushesItIsRead()
    {
        Put("open_clip_model.safetensors");
        File.WriteAllText(
            _folder["open_clip_config.json"],
            """{"model_cfg":{},"preprocess_cfg":{"size":[224,224],"mode":"RGB","mean":0.5,"std":null,"interpolation":"random","resize_mode":"longest","fill_color":7}}""");
        var expected = new PreprocessOptions(224) { Mean = RgbValues.All(0.5), ResizeMode = ResizeMode.Longest, Fill = 7 };

        Assert.Equal(expected, ModelFolder.Open(_folder.Root).LoadPreprocess(new VisionConfig()));
    }

    [Theory]
    [InlineData("")]
    [InlineData("/")]
    [InlineData("/.")]
    [InlineData("/inner/..")]
    public void NamesComeFromTheFolderHoweverItIsWritten(string end)
    {
        Directory.CreateDirectory(_folder["my-model/inner"]);
        Put("my-model/open_clip_model.safetensors");

        Assert.Equal("my-model", ModelFolder.Open(_folder["my-model"] + end).Name);
    }

    [Theory]
    [InlineData("model", ".safetensors", true)]
    [InlineData("pytorch_model", ".bin", true)]
    [InlineData("model", ".safetensors", false)]
    public void ShardsAreOneModel(string stem, string extension, bool withIndex)
    {
        var shards = Shards(stem, extension, withIndex);
        var folder = ModelFolder.Open(_folder.Root);

        Assert.Equal(Path.GetFileName(Path.TrimEndingDirectorySeparator(_folder.Root)), folder.Name);
        foreach (var path in new[] { folder.Weights, shards[0], shards[1] })
        {
            using var file = WeightFile.Open(path);
            Assert.Equal(["a", "b"], file.Tensors.Select(entry => entry.Name));
            Assert.Equal([1f, 2f], file["b"].ToSingles());
        }
    }

    [Fact]
    public void WhatCannotBeReadInAShardIsNamed()
    {
        string[] paths = [_folder["pytorch_model-00001-of-00002.bin"], _folder["pytorch_model-00002-of-00002.bin"]];
        PickleBuilder.WriteStateDict(paths[0], [WeightEntry.FromValues<float>("a", [0f], 1)]);
        PickleBuilder.WriteStateDict(
            paths[1], [WeightEntry.FromValues<float>("b", [1f], 1)], pickle => PickledObjects.All["sparse tensor"](pickle.Text("c")).Op(PickleOpcode.SetItem));
        using var file = WeightFile.Open(paths[0]);

        Assert.Equal(["a", "b"], file.Tensors.Select(entry => entry.Name));
        Assert.Equal(("c", "torch._utils _rebuild_sparse_tensor"), Assert.Single(file.Unreadable.Select(pair => (pair.Key, pair.Value))));
    }

    [Fact]
    public void ShardsThatAreNotAllThereAreNamed()
    {
        var shards = Shards("model", ".safetensors", withIndex: true);
        File.Delete(shards[1]);
        Assert.Contains("model-00002-of-00002.safetensors", Complaint(() => WeightFile.Open(ModelFolder.Open(_folder.Root).Weights)), StringComparison.Ordinal);
        Assert.Contains("model-00002-of-00002.safetensors", Complaint(() => WeightFile.Open(shards[0])), StringComparison.Ordinal);

        File.Copy(shards[0], shards[1]);
        Assert.Contains("two shards", Complaint(() => WeightFile.Open(shards[0])), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"weight_map":{"a":"../secret.bin"}}""", "`a`")]
    [InlineData("""{"weight_map":{"a":1}}""", "`a`")]
    [InlineData("""{"weight_map":{}}""", "empty")]
    [InlineData("""{"metadata":{}}""", "weight_map")]
    [InlineData("""{"weight_map":{"a":"model-00001-of-00002.safetensors","c":"model-00002-of-00002.safetensors"}}""", "tensor c")]
    public void DamagedIndicesAreNamed(string json, string named)
    {
        Shards("model", ".safetensors", withIndex: true);
        File.WriteAllText(_folder["model.safetensors.index.json"], json);

        Assert.Contains(named, Complaint(() => WeightFile.Open(_folder["model.safetensors.index.json"])), StringComparison.Ordinal);
    }

    [Fact]
    public async Task ConfigurationsComeThroughPipesAndWeightsDoNot()
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        var config = ClipConfigs.Get("ViT-S-16");
        Assert.Equal(config, await ThroughPipe(ClipConfigJson.ToJson(config), ClipConfigJson.Load));
        Assert.Contains("is a pipe", await ThroughPipe("weights", path => Complaint(() => WeightFile.Open(path))), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"model_cfg":{},"preprocess_cfg":{"mean":[1]}}""", "preprocess_cfg.mean")]
    [InlineData("""{"model_cfg":{},"preprocess_cfg":{"interpolation":"lanczos"}}""", "preprocess_cfg.interpolation")]
    [InlineData("""{"model_cfg":{},"preprocess_cfg":{"size":[40,40]}}""", "`preprocess_cfg.size` makes images of 40 x 40 pixels, but the model takes 224 x 224")]
    [InlineData("""{"model_cfg":{},"preprocess_cfg":{"mode":"L"}}""", "preprocess_cfg.mode")]
    [InlineData("""{"model_cfg":{},"preprocess_cfg":{"crop_pct":0.9}}""", "preprocess_cfg.crop_pct")]
    [InlineData("""{"model_cfg":""", "not valid JSON")]
    public void DamagedPreprocessingIsNamed(string json, string complaint)
    {
        Put("open_clip_model.safetensors");
        File.WriteAllText(_folder["open_clip_config.json"], json);

        Assert.Contains(complaint, Complaint(() => ModelFolder.Open(_folder.Root).LoadPreprocess(new VisionConfig())), StringComparison.Ordinal);
    }

    [Fact]
    public void EveryFieldOfHuggingFaceIsObeyed()
    {
        var plain = new PreprocessOptions(32) { CropRounding = CropRounding.Down };
        Assert.Equal(plain, HuggingFace("""{"size":{"shortest_edge":32},"crop_size":32,"do_convert_rgb":true,"processor_class":"CLIPProcessor","rescale_factor":0.00392156862745098}"""));
        Assert.Equal(plain, HuggingFace("""{"feature_extractor_type":"CLIPFeatureExtractor","size":32,"crop_size":{"height":32,"width":32},"use_square_size":false}"""));
        Assert.Equal(plain with { ResizeTo = (40, 40) }, HuggingFace("""{"size":{"shortest_edge":40},"crop_size":32,"image_processor_type":"CLIPImageProcessor"}"""));
        Assert.Equal(plain with { ResizeTo = (40, 40) }, HuggingFace("""{"size":40}"""));
        Assert.Equal(plain with { ResizeMode = ResizeMode.Squash, ResizeTo = (40, 48) }, HuggingFace("""{"size":{"height":40,"width":48}}"""));
        Assert.Equal(plain with { ResizeMode = ResizeMode.Squash, ResizeTo = (40, 40) }, HuggingFace("""{"size":{"shortest_edge":40},"use_square_size":true}"""));
        Assert.Equal(plain with { ResizeMode = ResizeMode.Squash }, HuggingFace("""{"size":{"height":32,"width":32},"do_center_crop":false}"""));
        Assert.Equal(plain with { ResizeMode = ResizeMode.None }, HuggingFace("""{"do_resize":false,"size":40}"""));
        Assert.Equal(plain with { Mean = RgbValues.All(0), StandardDeviation = RgbValues.All(1) }, HuggingFace("""{"do_normalize":false,"image_mean":[0.5,0.5,0.5]}"""));
        Assert.Equal(plain with { Divisor = 1 }, HuggingFace("""{"do_rescale":false}"""));
        Assert.Equal(plain with { Divisor = 128 }, HuggingFace("""{"rescale_factor":0.0078125}"""));
        Assert.Equal(
            plain with
            {
                ResizeMode = ResizeMode.Squash, Mean = RgbValues.All(0.5), StandardDeviation = RgbValues.All(0.25), Interpolation = Interpolation.Bilinear,
            },
            HuggingFace("""{"image_processor_type":"ViTImageProcessor","size":32,"image_std":0.25}"""));
    }

    [Theory]
    [InlineData("""{"crop_size":40}""", "`crop_size` makes images of 40 x 40 pixels, but the model takes 32 x 32")]
    [InlineData("""{"size":40,"do_center_crop":false}""", "`do_center_crop` is false")]
    [InlineData("""{"size":[40,40],"do_center_crop":false}""", "`size` makes images of 40 x 40")]
    [InlineData("""{"do_resize":false,"do_center_crop":false}""", "`do_resize` is false")]
    [InlineData("""{"size":{"longest_edge":40}}""", "`size.longest_edge` is not supported")]
    [InlineData("""{"size":{"shortest_edge":40,"longest_edge":60}}""", "`size.longest_edge` is not supported")]
    [InlineData("""{"size":{"height":40}}""", "`size.width` is missing")]
    [InlineData("""{"image_processor_type":"ViTImageProcessor","size":{"shortest_edge":32}}""", "`size.shortest_edge` is not supported")]
    [InlineData("""{"do_pad":true}""", "`do_pad` is not supported")]
    [InlineData("""{"resample":1}""", "`resample` must be 3 (bicubic) or 2 (bilinear)")]
    [InlineData("""{"rescale_factor":0}""", "`rescale_factor` is 0")]
    [InlineData("""{"do_normalize":1}""", "`do_normalize` must be true or false")]
    [InlineData("""{"image_processor_type":"SiglipImageProcessor"}""", "`image_processor_type` is SiglipImageProcessor, which is not supported")]
    public void WhatHuggingFaceAsksForAndTheKitCannotDoIsRefusedByName(string json, string complaint) =>
        Assert.Contains(complaint, Complaint(() => HuggingFace(json)), StringComparison.Ordinal);

    [Fact]
    public void TokenizersMustFitTheModel()
    {
        Put("model.safetensors");
        SmallVocabulary.Write(_folder["bpe_small.txt.gz"]);
        var folder = ModelFolder.Open(_folder.Root);
        var text = new TextConfig { VocabSize = SmallVocabulary.Count, ContextLength = 6 };

        Assert.Equal(6, folder.LoadTokenizer(text).ContextLength);
        Assert.Contains("49408", Complaint(() => folder.LoadTokenizer(new TextConfig())), StringComparison.Ordinal);
    }

    private PreprocessOptions HuggingFace(string json)
    {
        Put("model.safetensors");
        File.WriteAllText(_folder["preprocessor_config.json"], json);
        return ModelFolder.Open(_folder.Root).LoadPreprocess(new VisionConfig { ImageSize = (32, 32) });
    }

    private PreprocessOptions HuggingFacePreprocess(string json)
    {
        Put("model.safetensors");
        File.WriteAllText(_folder["preprocessor_config.json"], json);
        return ModelFolder.Open(_folder.Root).LoadPreprocess(new VisionConfig());
    }

    private string[] Shards(string stem, string extension, bool withIndex)
    {
        string[] paths = [_folder[$"{stem}-00001-of-00002{extension}"], _folder[$"{stem}-00002-of-00002{extension}"]];
        WeightEntry[] entries = [WeightEntry.FromValues<float>("a", [0f], 1), WeightEntry.FromValues<float>("b", [1f, 2f], 2)];
        foreach (var (path, entry) in paths.Zip(entries))
        {
            if (extension == ".bin")
            {
                PickleBuilder.WriteStateDict(path, [entry]);
            }
            else
            {
                SafetensorsWriter.Write(path, [entry]);
            }
        }

        if (withIndex)
        {
            File.WriteAllText(
                _folder[$"{stem}{extension}.index.json"],
                $$"""{"metadata":{},"weight_map":{"a":"{{Path.GetFileName(paths[0])}}","b":"{{Path.GetFileName(paths[1])}}"} }""");
        }

        return paths;
    }

    private async Task<T> ThroughPipe<T>(string content, Func<string, T> read)
    {
        var pipe = _folder[$"pipe{Guid.NewGuid():N}"];
        ExternalProcess.Run("mkfifo", [pipe]);
        var writing = Task.Run(() => File.WriteAllText(pipe, content));
        var result = await Task.Run(() => read(pipe));
        try
        {
            await writing;
        }
        catch (IOException)
        {
            // The reader went away.
        }

        return result;
    }

    private static string Complaint(Func<object> action) => Assert.Throws<UserException>(action).Message;

    private void Put(params string[] names) => Array.ForEach(names, name => File.WriteAllText(_folder[name], string.Empty));
}
