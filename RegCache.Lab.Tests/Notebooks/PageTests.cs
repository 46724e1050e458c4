using RegCache.Lab.Notebooks.Running;
using RegCache.Lab.Notebooks.Formats;
using RegCache.Lab.Notebooks.Pages;

namespace RegCache.Lab.Tests.Notebooks;

/// <summary>Exported pages as a browser shows them.</summary>
[Collection(NotebookTests.Name)]
public sealed class PageTests
{
    [BrowserFact]
    [Trait("Category", "Slow")]
    public async Task ThePageOfLesson6DrawsItsHeatMapAndAsksForNothing()
    {
        var document = await Lesson.Of("06").RunAsync();
        var file = Path.Combine(Directory.CreateTempSubdirectory("regcache-page-").FullName, "06.html");
        await File.WriteAllTextAsync(file, NotebookPage.Write(document, "06", PlotlyLibrary.Find()));
        await using var browser = await Browser.OpenAsync();
        var errors = new List<string>();
        browser.Page.PageError += (_, error) => errors.Add(error);
        await browser.Page.GotoAsync(new Uri(file).AbsoluteUri);
        var map = browser.Page.Locator(".regcache-plot .heatmaplayer .hm image").First;
        await map.WaitForAsync();
        var box = await map.BoundingBoxAsync();
        Assert.True(box is { Width: > 100, Height: > 100 });
        Assert.Contains("Search accuracy", await browser.Page.Locator(".regcache-plot .g-gtitle").First.TextContentAsync(), StringComparison.Ordinal);
        var table = browser.Page.Locator("table.dataframe").First;
        Assert.True(await table.IsVisibleAsync());
        Assert.Equal("ExtractionBlock", await table.Locator("th").First.TextContentAsync());
        Assert.True(await table.Locator("tbody tr").CountAsync() >= 3);
        Assert.True(await browser.Page.Locator(".math math").CountAsync() > 0);
        await map.ScrollIntoViewIfNeededAsync();
        await browser.PictureAsync("page-06");
        Assert.All(browser.Requests, address => Assert.True(
            address.StartsWith("file:", StringComparison.Ordinal) || address.StartsWith("data:", StringComparison.Ordinal) || address.StartsWith("blob:", StringComparison.Ordinal), address));
        Assert.Empty(errors);
        Directory.Delete(Path.GetDirectoryName(file)!, recursive: true);
    }
}
