using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Json.Schema;
using RegCache.Lab.Data;
using RegCache.Lab.Data.Manifests;
using RegCache.Lab.Data.Retrieval;
using RegCache.Lab.Data.Shapes;

namespace RegCache.Lab.Tests.Data.Manifests;

public sealed class DatasetManifestTests : IDisposable
{
    private static readonly string _folder = Path.Combine(Goldens.RepositoryRoot, "data-manifests");
    private static readonly JsonSchema _schema = JsonSchema.FromText(File.ReadAllText(Path.Combine(_folder, "dataset.schema.json")));
    private readonly TemporaryFolder _own = new();

    public static TheoryData<string> Names => [.. DatasetManifests.OfTheKit.Select(manifest => manifest.Name)];

    public void Dispose() => _own.Dispose();

    [Fact]
    public void TheSetsThatTheKitIsMadeForAreThere() => Assert.Equal(
        ["cifar-10", "cifar-100", "coco", "dci", "docci", "flickr30k", "iiw", "imagenet", "shapes", "sharegpt4v", "text8", "urban1k"],
        DatasetManifests.OfTheKit.Select(manifest => manifest.Name));

    [Theory]
    [MemberData(nameof(Names))]
    public void AManifestFitsTheSchemaAndIsEmbeddedAsItIs(string name)
    {
        var path = Path.Combine(_folder, name + ".json");
        Assert.True(Fits(File.ReadAllText(path)));
        var (file, embedded) = (DatasetManifest.Load(path), DatasetManifests.OfTheKit.Find(name));
        Assert.Equal(JsonSerializer.Serialize(file), JsonSerializer.Serialize(embedded));
        Assert.Equal(path, file.File);
        Assert.Null(embedded.File);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void EverySplitHasAReader(string name) =>
        Assert.All(DatasetManifests.OfTheKit.Find(name).Splits, split => Assert.NotNull(DatasetReaders.Find(split)));

    [Theory]
    [MemberData(nameof(Names))]
    public void PagesOfTheKitExist(string name)
    {
        var page = DatasetManifests.OfTheKit.Find(name).HomePage;
        Assert.True(page.StartsWith("http", StringComparison.Ordinal) || File.Exists(Path.Combine(Goldens.RepositoryRoot, page)), page);
    }

    [Fact]
    public void VariablesOfImageNetAreThoseOfTheCommands()
    {
        var manifest = DatasetManifests.OfTheKit.Find("imagenet");
        Assert.Equal(DataVariable.DataRoot.Name, manifest.Variable);
        Assert.Equal(CocoCaptions.Variable.Name, DatasetManifests.OfTheKit.Find("coco").Variable);
        foreach (var (split, variable) in new[]
        {
            ("val", DataVariable.ImageNetValidation), ("train-sample", DataVariable.TrainSample), ("calibration", DataVariable.Calibration),
        })
        {
            Assert.Equal(variable.Name, manifest.Split(split).Variable);
            Assert.Equal(variable.DefaultFolder, manifest.Split(split).Path);
        }
    }

    [Fact]
    public void RetrievalSetsAndTheirManifestsNameTheSameVariables() => Assert.All(
        RetrievalFormats.All.Where(format => format.Variable is not null),
        format => Assert.Contains(DatasetManifests.OfTheKit, manifest =>
            manifest.Variable == format.Variable!.Name && manifest.Splits.Any(split => split.Reader.Split('@')[0] == format.Name)));

    [Fact]
    public void CountsOfTheGeneratedSetAreThoseOfTheGenerator()
    {
        var splits = DatasetManifests.OfTheKit.Find("shapes").Splits;
        Assert.Equal(Enum.GetNames<ShapesSplit>().Select(name => name.ToLowerInvariant()), splits.Select(split => split.Name));
        Assert.All(splits, split => Assert.Equal(ShapesSet.DefaultCount(Enum.Parse<ShapesSplit>(split.Name, ignoreCase: true)), split.Counts["images"]));
    }

    [Theory]
    [InlineData("title", null, "`title`")]
    [InlineData("name", "\"My Set\"", "small letters")]
    [InlineData("name", "null", "`name`")]
    [InlineData("colour", "1", "no such field")]
    [InlineData("variable", "\"data root\"", "environment variable")]
    [InlineData("layout", "[]", "`layout` is empty")]
    [InlineData("layout", "\"x\"", "`layout`")]
    [InlineData("splits", "[]", "`splits` is empty")]
    [InlineData("splits", """[{"name":"a","purpose":"p","reader":"folders"}]""", "`counts`")]
    [InlineData("splits", """[{"name":"a","purpose":"p","reader":"folders","counts":{"images":-1}}]""", "negative")]
    [InlineData("splits", """[{"name":"a","purpose":"p","reader":"folders","counts":{"images":"many"}}]""", "wrong type")]
    [InlineData("splits", """[{"name":"a","purpose":"p","reader":"folders","counts":{},"path":"../a"}]""", "below the root")]
    [InlineData("splits", """[{"name":"a","purpose":"p","reader":"folders","counts":{},"path":"x|/etc"}]""", "below the root")]
    [InlineData("splits", """[{"name":"a","purpose":"p","reader":"folders","counts":{},"needs":["C:/x"]}]""", "below the root")]
    [InlineData("checksums", """[{"path":"a.zip","md5":"12"}]""", "checksum of 'a.zip'")]
    [InlineData("checksums", """[{"path":"a.zip"}]""", "checksum of 'a.zip'")]
    public void WhatIsBrokenIsRefusedByTheKitAndByTheSchema(string field, string? value, string expected)
    {
        var json = Sound();
        if (value is null)
        {
            json.Remove(field);
        }
        else
        {
            json[field] = JsonNode.Parse(value);
        }

        var error = Assert.Throws<UserException>(() => DatasetManifest.Parse(Encoding.UTF8.GetBytes(json.ToJsonString()), "own.json"));
        Assert.StartsWith("The manifest own.json is broken: ", error.Message, StringComparison.Ordinal);
        Assert.Contains(expected, error.Message, StringComparison.Ordinal);
        Assert.False(Fits(json.ToJsonString()));
    }

    [Theory]
    [InlineData("", "line 1")]
    [InlineData("null", "null")]
    [InlineData("{\n  \"name\": \"a\",,\n}", "line 2")]
    [InlineData("""{"name": "a", "name": "b"}""", "twice")]
    public void WhatIsNoManifestIsRefused(string json, string expected) => Assert.Contains(
        expected, Assert.Throws<UserException>(() => DatasetManifest.Parse(Encoding.UTF8.GetBytes(json), "own.json")).Message, StringComparison.Ordinal);

    [Fact]
    public void SplitsAreNamedOnce()
    {
        var json = Sound();
        json["splits"]!.AsArray().Add(json["splits"]![0]!.DeepClone());
        var error = Assert.Throws<UserException>(() => DatasetManifest.Parse(Encoding.UTF8.GetBytes(json.ToJsonString()), "own.json"));
        Assert.Contains("the split 'all' is there twice", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void OwnManifestsComeBesideTheKitsAndInTheirPlace()
    {
        File.WriteAllText(_own["own.json"], Sound().ToJsonString());
        var changed = Sound();
        changed["name"] = "imagenet";
        File.WriteAllText(_own["imagenet.json"], changed.ToJsonString());
        File.WriteAllText(_own["other.schema.json"], "{}");
        var all = DatasetManifests.Load(_own.Root);
        Assert.Equal(DatasetManifests.OfTheKit.Count + 1, all.Count);
        Assert.Equal(_own["own.json"], all.Find("own").File);
        Assert.Equal("Own pictures", all.Find("imagenet").Title);
        var error = Assert.Throws<UserException>(() => all.Find("imagenet2"));
        Assert.Contains("'imagenet2' is unknown", error.Message, StringComparison.Ordinal);
        Assert.Contains("own,", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void FoldersAndNamesOfOwnManifestsAreChecked()
    {
        Assert.Contains("does not exist", Assert.Throws<UserException>(() => DatasetManifests.Load(_own["none"])).Message, StringComparison.Ordinal);
        File.WriteAllText(_own["other.json"], Sound().ToJsonString());
        Assert.Contains("must be the file's name", Assert.Throws<UserException>(() => DatasetManifests.Load(_own.Root)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AGivenRootComesBeforeTheSplitsVariableAndThatBeforeTheRootsVariable()
    {
        var manifest = DatasetManifests.OfTheKit.Find("imagenet");
        var split = manifest.Split("val");
        string? Where(string? root, params (string Name, string Value)[] variables) =>
            DatasetPlace.Find(manifest, split, root, name => variables.FirstOrDefault(variable => variable.Name == name).Value)?.Path;
        Assert.Null(Where(null));
        Assert.Null(Where("", ("DATA_ROOT", "")));
        Assert.Equal("/d/val", Where(null, ("DATA_ROOT", "/d")));
        Assert.Equal("/v", Where(null, ("DATA_ROOT", "/d"), ("IMAGENET_VAL", "/v")));
        Assert.Equal("/r/val", Where("/r", ("DATA_ROOT", "/d"), ("IMAGENET_VAL", "/v")));
    }

    internal static JsonObject Sound() => JsonNode.Parse("""
        {
          "name": "own", "title": "Own pictures", "purpose": "tests", "home_page": "https://example.org/", "licence": {"name": "none"}, "layout": ["a/1.png"],
          "splits": [{"name": "all", "purpose": "tests", "reader": "folders", "counts": {"classes": 2, "images": 4}}]
        }
        """)!.AsObject();

    private static bool Fits(string json)
    {
        using var document = JsonDocument.Parse(json);
        return _schema.Evaluate(document.RootElement).IsValid;
    }
}
