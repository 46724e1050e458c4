using RegCache.Lab.Encoders.Text;

namespace RegCache.Lab.Tests.Encoders.Text;

/// <summary>Prompt files: what they hold, and what is refused.</summary>
public sealed class PromptSetTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [ExternalFact("data", "imagenet_clip_prompts.json")]
    public void ThePublishedFileIsRead()
    {
        var prompts = PromptSet.Load(Goldens.ExternalPath("data", "imagenet_clip_prompts.json")!);

        Assert.Equal((1000, 80, 7), (prompts.ClassNames.Count, prompts.Templates.Count, prompts.SimpleTemplates.Count));
        Assert.Equal("a bad photo of a tench.", PromptSet.Prompts(prompts.ClassNames[0], prompts.Templates).First());
    }

    [Fact]
    public void AbsentPartsHaveDefaults()
    {
        var names = Load("""{"classnames":["cat","dog"]}""");
        var templates = Load("""{"templates":["{} and {}"],"simple_templates":["{}"]}""");

        Assert.Equal(["a photo of a dog."], PromptSet.Prompts(names.ClassNames[1], names.Templates));
        Assert.Empty(names.SimpleTemplates);
        Assert.Empty(templates.ClassNames);
        Assert.Equal(["x and x"], PromptSet.Prompts("x", templates.Templates));
    }

    [Theory]
    [InlineData("""{"names":[]}""", "no prompt file")]
    [InlineData("""{"classnames":"cat"}""", "classnames")]
    [InlineData("""{"classnames":["cat",""]}""", "classnames")]
    [InlineData("""{"templates":["a photo"]}""", "\"a photo\"")]
    [InlineData("""{"templates":["{}"],"simple_templates":[7]}""", "simple_templates")]
    [InlineData("""{"templates":["{}"]""", "not valid JSON")]
    [InlineData("[]", "JSON object")]
    public void OtherContentIsRefused(string json, string complaint) =>
        Assert.Contains(complaint, Assert.Throws<UserException>(() => Load(json)).Message, StringComparison.Ordinal);

    private PromptSet Load(string json)
    {
        var path = _folder["prompts.json"];
        File.WriteAllText(path, json);
        return PromptSet.Load(path);
    }
}
