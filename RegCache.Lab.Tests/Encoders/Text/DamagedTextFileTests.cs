using FsCheck;
using FsCheck.Fluent;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Encoders.Text;

namespace RegCache.Lab.Tests.Encoders.Text;

/// <summary>Damaged vocabularies, configurations and prompt files either still work or end in one sentence for the user.</summary>
public sealed class DamagedTextFileTests : IDisposable
{
    private const int Trials = 200;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void PackedMergeLists()
    {
        SmallVocabulary.Write(_folder["bpe.txt.gz"]);
        Check("bpe.txt.gz", path => new ClipTokenizer(Vocabulary.Load(path)).Encode("the cat"));
    }

    [Fact]
    public void Tokenizers()
    {
        SmallVocabulary.WriteTokenizerJson(_folder["tokenizer.json"], pairs: false);
        Check("tokenizer.json", path => new ClipTokenizer(Vocabulary.Load(path)).Encode("the cat"));
    }

    [Fact]
    public void Configurations()
    {
        File.WriteAllText(_folder["config.json"], ClipConfigJson.ToJson(ClipConfigs.Get("ViT-B-32")));
        Check("config.json", ClipConfigJson.Load);
    }

    [Fact]
    public void HuggingFaceConfigurations()
    {
        File.Copy(Goldens.Path("clip", "pt", "hf_config.json"), _folder["config.json"]);
        Check("config.json", ClipConfigJson.Load);
    }

    [Fact]
    public void Prompts()
    {
        File.WriteAllText(_folder["prompts.json"], """{"classnames":["cat","dog"],"templates":["a {}.","the {}"],"simple_templates":["{}"]}""");
        Check("prompts.json", PromptSet.Load);
    }

    [Theory]
    [InlineData("""{"classnames":["\ud800"]}""")]
    [InlineData("""{"\udc00":1,"classnames":["a"]}""")]
    public void BrokenEscapesAreRefused(string json)
    {
        File.WriteAllText(_folder["prompts.json"], json);

        Assert.Contains("not valid JSON", Assert.Throws<UserException>(() => PromptSet.Load(_folder["prompts.json"])).Message, StringComparison.Ordinal);
    }

    private void Check(string name, Func<string, object> read)
    {
        var path = _folder[name];
        var original = File.ReadAllBytes(path);
        var change = Gen.Choose(0, original.Length - 1).SelectMany(at => Gen.Choose(0, 255).Select(value => (at, (byte)value)));
        var property = Prop.ForAll(Arb.From(change.NonEmptyListOf()), changes =>
        {
            var bytes = original.ToArray();
            foreach (var (at, value) in changes.Take(4))
            {
                bytes[at] = value;
            }

            File.WriteAllBytes(path, bytes);
            return ReadsOrComplains(path, read);
        });
        property.Check(RandomTensors.Properties.WithMaxTest(Trials));
    }

    private static bool ReadsOrComplains(string path, Func<string, object> read)
    {
        try
        {
            return read(path) is not null;
        }
        catch (UserException error)
        {
            return error.Message.EndsWith('.');
        }
    }
}
