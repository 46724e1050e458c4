using RegCache.Lab.Data.Shapes;
using RegCache.Lab.Training.Clip;
using RegCache.Lab.Training.ShapesClip;

namespace RegCache.Lab.Tests.Data.Shapes;

public class ShapesSetTests
{
    [Fact]
    public void OneAndTwoThreadsMakeTheSameBytes()
    {
        var one = ShapesSet.Generate(ShapesSplit.Train, 300, seed: 3, threads: 1);
        var two = ShapesSet.Generate(ShapesSplit.Train, 300, seed: 3, threads: 2);
        Assert.Equal(one.Fingerprint, two.Fingerprint);
    }

    // The bytes are part of the published results: a change of this hash makes new ones necessary.
    [Fact]
    public void TheBytesAreTheSameOnEveryMachine() =>
        Assert.StartsWith("ce0b03986dbc826aa006735664bb23b9", ShapesSet.Generate(ShapesSplit.Train, 100).Fingerprint, StringComparison.Ordinal);

    [Fact]
    public void AnImageDoesNotDependOnHowManyAreMade()
    {
        var few = ShapesSet.Generate(ShapesSplit.Test, 10);
        var many = ShapesSet.Generate(ShapesSplit.Test, 30);
        Assert.Equal(few.Image(9), many.Image(9));
        Assert.Equal(few.Samples[9], many.Samples[9]);
    }

    [Fact]
    public void SeedsAndSplitsDiffer()
    {
        var sets = Enum.GetValues<ShapesSplit>().Select(split => ShapesSet.Generate(split, 50))
            .Append(ShapesSet.Generate(ShapesSplit.Train, 50, seed: 1));
        Assert.Equal(6, sets.Select(set => set.Fingerprint).Distinct().Count());
    }

    [Fact]
    public void EveryClassIsAsFrequentInTheTestSet()
    {
        var set = ShapesSet.Generate(ShapesSplit.Test, 96);
        Assert.Equal(Enumerable.Range(0, 96).Select(index => index % 48), set.Samples.Select(sample => sample.Label));
    }

    [Fact]
    public void ObjectsLieInsideAndCaptionsSayWhere()
    {
        foreach (var sample in ShapesSet.Generate(ShapesSplit.Retrieval, 500).Samples)
        {
            var (first, second) = (sample.Scene.First, sample.Scene.Second);
            foreach (var shape in new[] { first, second }.OfType<ShapeObject>())
            {
                Assert.InRange(shape.CenterX, shape.Radius, 64 - shape.Radius);
                Assert.InRange(shape.CenterY, shape.Radius, 64 - shape.Radius);
            }

            if (second is null)
            {
                continue;
            }

            Assert.NotEqual(first.Class, second.Class);
            var (word, holds) = sample.Scene.Relation switch
            {
                ShapeRelation.LeftOf => (" left of ", first.CenterX + first.Radius < second.CenterX - second.Radius),
                ShapeRelation.RightOf => (" right of ", first.CenterX - first.Radius > second.CenterX + second.Radius),
                ShapeRelation.Above => (" above ", first.CenterY + first.Radius < second.CenterY - second.Radius),
                _ => (" below ", first.CenterY - first.Radius > second.CenterY + second.Radius),
            };
            Assert.True(holds, sample.Caption);
            Assert.Contains(word, sample.Caption, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void CaptionsUseTheVocabularyAndFitTheContext()
    {
        var words = ShapesVocabulary.Words.ToHashSet(StringComparer.Ordinal);
        foreach (var split in Enum.GetValues<ShapesSplit>())
        {
            foreach (var sample in ShapesSet.Generate(split, 300).Samples)
            {
                var used = sample.Caption.Split(' ');
                Assert.All(used, word => Assert.Contains(word, words));
                Assert.InRange(used.Length, 3, 16);
            }
        }
    }

    [Fact]
    public void LongCaptionsBelongToTheSameImagesAndFitTheContext()
    {
        var words = ShapesVocabulary.Words.ToHashSet(StringComparer.Ordinal);
        foreach (var split in Enum.GetValues<ShapesSplit>())
        {
            var (usual, described) = (ShapesSet.Generate(split, 300), ShapesSet.Generate(split, 300, captions: ShapesCaptionKind.Long));
            Assert.NotEqual(usual.Fingerprint, described.Fingerprint);
            foreach (var (index, sample) in described.Samples.Index())
            {
                Assert.Equal(usual.Samples[index].Scene, sample.Scene);
                Assert.Equal(usual.Image(index), described.Image(index));
                var used = sample.Caption.Split([' ', '.', ','], StringSplitOptions.RemoveEmptyEntries);
                Assert.All(used, word => Assert.Contains(word, words));

                // The end token takes the last place.
                Assert.InRange(used.Length, 5, ShapesClipArchitecture.Tokenizer.ContextLength - 2);
            }
        }
    }

    [Fact]
    public void ALongCaptionDescribesEveryObjectInSentences()
    {
        foreach (var sample in ShapesSet.Generate(ShapesSplit.Retrieval, 300, captions: ShapesCaptionKind.Long).Samples)
        {
            var sentences = sample.Caption.Split('.', StringSplitOptions.TrimEntries);
            ShapeObject[] shapes = sample.Scene.Second is { } second ? [sample.Scene.First, second] : [sample.Scene.First];
            Assert.Equal(shapes.Length + 3, sentences.Length);
            Assert.Equal("", sentences[^1]);
            Assert.Equal($"{sample.Scene.Background.Kind} background".ToLowerInvariant(), sentences[^2]);
            Assert.Equal(sentences[0], FinetuneTrainingConfig.FirstSentence(sample.Caption));
            foreach (var (index, shape) in shapes.Index())
            {
                Assert.Contains(ShapesCaption.Short(shape), sentences[0], StringComparison.Ordinal);
                Assert.StartsWith(shape.IsLarge ? "large" : "small", sentences[index + 1], StringComparison.Ordinal);
                Assert.Equal(shape.Texture != ShapeTexture.Solid, sentences[index + 1].Contains($" {shape.Texture},".ToLowerInvariant(), StringComparison.Ordinal));
                Assert.Equal(shape.CenterY < 0.4 * 64, sentences[index + 1].Contains("top", StringComparison.Ordinal));
                Assert.Equal(shape.CenterX > 0.6 * 64, sentences[index + 1].Contains("right", StringComparison.Ordinal));
            }
        }
    }

    [Fact]
    public void PairsAreFoundByName()
    {
        Assert.Null(ShapesImages.FindPairs("pairs-{000..001}.tar", ShapesSplit.Train, 4));
        Assert.Null(ShapesImages.FindPairs("shapes.csv", ShapesSplit.Train, 4));
        using var usual = ShapesImages.FindPairs("shapes", ShapesSplit.Retrieval, 4)!;
        using var described = ShapesImages.FindPairs("shapes-long@calibration", ShapesSplit.Retrieval, 4)!;
        Assert.Equal(ShapesSet.Generate(ShapesSplit.Retrieval, 4).Fingerprint, usual.Fingerprint);
        Assert.Equal(ShapesSet.Generate(ShapesSplit.Calibration, 4, captions: ShapesCaptionKind.Long).Fingerprint, described.Fingerprint);
        Assert.Contains("long captions", described.Inventory.Found, StringComparison.Ordinal);
        Assert.Contains("no split 'dev'", Assert.Throws<UserException>(() => ShapesImages.FindPairs("shapes-long@dev", ShapesSplit.Train, 4)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AnObjectHasItsColourAtItsCentre()
    {
        var set = ShapesSet.Generate(ShapesSplit.Test, 480);
        foreach (var (index, sample) in set.Samples.Index())
        {
            var shape = sample.Scene.First;
            if (shape.Texture != ShapeTexture.Solid || shape.Kind == ShapeKind.Ring)
            {
                continue;
            }

            var pixel = set.Image(index).Slice((((int)shape.CenterY * 64) + (int)shape.CenterX) * 3, 3);
            Assert.InRange(pixel[0], shape.Color.Red - 15, shape.Color.Red + 15);
            Assert.InRange(pixel[1], shape.Color.Green - 15, shape.Color.Green + 15);
            Assert.InRange(pixel[2], shape.Color.Blue - 15, shape.Color.Blue + 15);
        }
    }

    [Fact]
    public void ANegativeCountIsRefused() =>
        Assert.Contains("--count -1", Assert.Throws<UserException>(() => ShapesSet.Generate(ShapesSplit.Test, -1)).Message, StringComparison.Ordinal);
}
