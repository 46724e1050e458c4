using RegCache.Lab.Data.Images;
using RegCache.Lab.Training.Augmentation;
using RegCache.Lab.Training.Clip;

namespace RegCache.Lab.Tests.Training.Augmentation;

public class RandomCropTests
{
    [Theory]
    [InlineData(64, 64)]
    [InlineData(300, 200)]
    [InlineData(31, 47)]
    public void BoxesHaveTheAreaAndAspectAskedFor(int width, int height)
    {
        var random = CounterRandom.Of(1, 1, 1);
        var crop = new RandomCrop(0.5, 0.8);
        var boxes = Enumerable.Range(0, 500).Select(_ => crop.Draw(width, height, ref random)).ToArray();
        Assert.All(boxes, box =>
        {
            Assert.True(box.FitsIn(width, height));
            Assert.InRange(box.Width * (double)box.Height / (width * height), 0.46, 0.84);
            Assert.InRange((double)box.Width / box.Height, 0.7, 1.42);
        });
        Assert.True(boxes.Distinct().Count() > 100);
    }

    [Fact]
    public void AnImageThatNoBoxFitsIsCutAtItsCentre()
    {
        var random = CounterRandom.Of(0, 0, 0);
        Assert.Equal(new CropBox(433, 0, 133, 100), new RandomCrop().Draw(1000, 100, ref random));
        Assert.Equal(new CropBox(0, 433, 100, 133), new RandomCrop().Draw(100, 1000, ref random));
    }
}
