using RegCache.Lab.Data;
using Xunit;

namespace RegCache.Lab.Tests.Data;

public sealed class DataLocationsTests
{
    private static readonly Dictionary<string, string> Nothing = [];

    [Fact]
    public void DefaultsLieBelowDataRoot()
    {
        var locations = Resolve(Nothing, new() { ["DATA_ROOT"] = "/data" });
        Assert.Equal(new DataLocations("/data", "/data/val", "/data/train_sample_50_per_class", "/data/1024calib_train"), locations);
    }

    [Fact]
    public void OptionsWinOverVariablesAndVariablesOverDefaults()
    {
        var locations = Resolve(
            new() { ["--imagenet-val"] = "/option", ["--data-root"] = "/root-option" },
            new() { ["DATA_ROOT"] = "/root", ["IMAGENET_VAL"] = "/variable", ["CALIB"] = "/calib" });
        Assert.Equal(new DataLocations("/root-option", "/option", "/root-option/train_sample_50_per_class", "/calib"), locations);
    }

    [Fact]
    public void EmptyMeansNotGiven() =>
        Assert.Equal(
            new DataLocations(null, null, null, null),
            Resolve(new() { ["--calib"] = "" }, new() { ["DATA_ROOT"] = "" }));

    [Fact]
    public void AFolderThatExistsIsReturned()
    {
        using var folder = new TemporaryFolder();
        foreach (var variable in DataVariable.All)
        {
            Assert.Equal(folder.Root, Resolve(new() { [variable.Option] = folder.Root }, Nothing).Require(variable));
        }
    }

    [Fact]
    public void WhatIsNotGivenIsNamedWithBothWaysToGiveIt()
    {
        foreach (var variable in DataVariable.All)
        {
            var error = Assert.Throws<UserException>(() => Resolve(Nothing, Nothing).Require(variable));
            Assert.StartsWith($"{variable.Name} ", error.Message, StringComparison.Ordinal);
            Assert.Contains("is not set", error.Message, StringComparison.Ordinal);
            Assert.Contains(variable.Option, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void AMissingFolderIsNamedWithItsVariable()
    {
        using var folder = new TemporaryFolder();
        var error = Assert.Throws<UserException>(
            () => Resolve(Nothing, new() { ["DATA_ROOT"] = folder.Root }).Require(DataVariable.TrainSample));
        Assert.Contains("TRAIN_SAMPLE", error.Message, StringComparison.Ordinal);
        Assert.Contains(folder["train_sample_50_per_class"], error.Message, StringComparison.Ordinal);
        Assert.Contains("does not exist", error.Message, StringComparison.Ordinal);
    }

    private static DataLocations Resolve(Dictionary<string, string> options, Dictionary<string, string> environment) =>
        DataLocations.Resolve(variable => options.GetValueOrDefault(variable.Option), environment.GetValueOrDefault);
}
