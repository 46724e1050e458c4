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

    private static string Complaint(Func<object> action) => Assert.Throws<UserException>(action).Message;

    private void Put(params string[] names) => Array.ForEach(names, name => File.WriteAllText(_folder[name], string.Empty));
}
