using RegCache.Lab.Training.Language;

namespace RegCache.Lab.Tests.Training;

public sealed class LmConfigFileTests : IDisposable
{
    // The shape of upstream's files: blocks that `default.train` merges, numbers with and without dots, quoted and plain texts.
    private const string Yaml = """
        corpus: &corpus
           dataset: text8
           data: data/text8

        net: &net
           d_model: 64
           pre_lnorm: false
           model_config: "[1, (2,), 3]"
           activation_function: gelu
           fp16: true
           nw: 8

        marks: &marks
           boundaries_type: 'gumbel'
           temp: 0.5
           prior: 0.3

        steps: &steps
           optim: adam
           scheduler: cosine
           adam_eps: 1e-8
           weight_decay: 0
           cuda: true
           batch_size: 8

        default:
           train:
              <<: *corpus
              <<: *net
              <<: *marks
              <<: *steps
        """;

    private readonly string _file = Path.GetTempFileName();

    [Fact]
    public void AFileIsReadAsItIsAndTheCommandLineWins()
    {
        File.WriteAllText(_file, Yaml);
        var messages = new List<string>();
        var config = LmConfigFile.Load(_file, new Dictionary<string, string> { ["batch_size"] = "16", ["prior"] = "0.2" }, messages.Add);
        Assert.Equal(("data/text8", 64, "[1, (2,), 3]", "gumbel"), (config.Data, config.DModel, config.ModelConfig, config.BoundariesType));
        Assert.Equal((16, 0.2, 1e-8, 512), (config.BatchSize, config.Prior, config.AdamEps, config.EvalTgtLen));
        var architecture = config.Architecture(27);
        Assert.Equal((1, 2, 3), (architecture.LayersBefore, architecture.LayersPooled, architecture.LayersAfter));
        Assert.Contains(messages, message => message.Contains("`fp16` is left aside; the kit computes in float32", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("pre_lnorm: false", "pre_lnorm: true", "`pre_lnorm` is true, which the kit cannot do")]
    [InlineData("d_model: 64", "d_model: many", "`d_model` is 'many', but must be a whole number")]
    [InlineData("d_model: 64", "d_modell: 64", "there is no field `d_modell`")]
    [InlineData("prior: 0.3", "prior: 1.3", "must be above 0 and below 1")]
    [InlineData("[1, (2,), 3]", "[1, 2]", "`model_config` is [1, 2]")]
    [InlineData("'gumbel'", "'none'", "pool nothing")]
    [InlineData("'gumbel'", "'bumps'", "exactly one of none, fixed, whitespaces, unigram, entropy, gumbel")]
    [InlineData("default:", "defaults:", "no block `default`")]
    [InlineData("batch_size: 8", "batch_size: 0", "`batch_size` is 0, but must be at least 1")]
    [InlineData("batch_size: 8", "batch_size: [8", "not valid YAML")]
    [InlineData("weight_decay: 0", "opt: adam", "exactly one of adamw, lamb, sgd")]
    [InlineData("weight_decay: 0", "ema_decay: 1", "`ema_decay` is 1")]
    [InlineData("weight_decay: 0", "sam_rho: 0", "`sam_rho` is 0")]
    [InlineData("weight_decay: 0", "sam_adaptive: true", "give `sam_rho`")]
    [InlineData("weight_decay: 0", "weight_decay: 0.1", "`weight_decay` is 0.1")]
    public void WhatIsWrongIsNamed(string right, string wrong, string expected)
    {
        File.WriteAllText(_file, Yaml.Replace(right, wrong, StringComparison.Ordinal));
        Assert.Contains(expected, Assert.Throws<UserException>(() => LmConfigFile.Load(_file, new Dictionary<string, string>())).Message, StringComparison.Ordinal);
    }

    public void Dispose() => File.Delete(_file);
}
