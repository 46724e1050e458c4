using System.Text.Json;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Merging;
using RegCache.Lab.Notebooks.Pictures;
using TorchSharp;

namespace RegCache.Lab.Tests.Merging;

[Trait("Category", "Golden")]
public sealed class PictureGoldenTests
{
    [Fact]
    public void PictureMatches()
    {
        using var file = WeightFile.Open(Goldens.Path("token-merging", "misc.safetensors"));
        var settings = JsonDocument.Parse(file.Metadata["vis"]).RootElement;
        var columns = settings.GetProperty("grid")[1].GetInt32();
        using var scope = torch.NewDisposeScope();
        var golden = GoldenTensors.Load("token-merging", "misc.safetensors");
        var (image, wanted) = (golden["vis/image"], golden["vis/output"].data<byte>().ToArray());
        var colors = golden["vis/edge_colors"].data<float>().ToArray().Chunk(3).Select(color => ((double)color[0], (double)color[1], (double)color[2])).ToArray();
        var sources = golden["vis/source"][0];
        var special = (int)sources.shape[1] - (settings.GetProperty("grid")[0].GetInt32() * columns);

        var picture = MergePicture.Draw(
            image.data<byte>().ToArray(), (int)image.shape[1], MergePicture.Groups(sources, special), columns, colors);

        Assert.Equal(wanted.Length, picture.Length);
        Assert.All(wanted.Zip(picture), pair => Assert.InRange(Math.Abs(pair.First - pair.Second), 0, 1));
    }

    [Fact]
    public void EdgeColorsAreDistinctAndRepeatable()
    {
        var colors = MergePicture.EdgeColors(64, seed: 3);
        Assert.Equal(64, colors.Distinct().Count());
        Assert.Equal(colors, MergePicture.EdgeColors(64, seed: 3));
        Assert.All(colors, color => Assert.All(new[] { color.Red, color.Green, color.Blue }, channel => Assert.InRange(channel, 0, 1)));
    }

    [Fact]
    public void DroppedPatchesStayBlack()
    {
        var picture = MergePicture.Draw(Enumerable.Repeat((byte)200, 4 * 8 * 3).ToArray(), 8, [0, -1], 2, MergePicture.EdgeColors(1));
        Assert.Equal(0, picture[4 * 3]);
        Assert.NotEqual(0, picture[0]);
    }
}
