using Microsoft.Playwright;

namespace RegCache.Lab.Tests.Notebooks;

/// <summary>Debian's Chromium, driven by a test, with every request of its page on record.</summary>
internal sealed class Browser : IAsyncDisposable
{
    private readonly IPlaywright _playwright;
    private readonly IBrowser _browser;
    private readonly List<string> _requests = [];

    private Browser(IPlaywright playwright, IBrowser browser, IPage page)
    {
        (_playwright, _browser, Page) = (playwright, browser, page);
        page.Request += (_, request) =>
        {
            lock (_requests)
            {
                _requests.Add(request.Url);
            }
        };
    }

    public IPage Page { get; }

    /// <summary>The addresses that the page has asked for.</summary>
    public IReadOnlyList<string> Requests
    {
        get
        {
            lock (_requests)
            {
                return [.. _requests];
            }
        }
    }

    public static async Task<Browser> OpenAsync()
    {
        // Playwright sets the console's encoding, which replaces the reader that notebook sessions have put there.
        var input = Console.In;
        var playwright = await Playwright.CreateAsync();
        Console.SetIn(input);
        var browser = await playwright.Chromium.LaunchAsync(new()
        {
            ExecutablePath = Tools.Chromium,
            // The sandbox does not start for root, who owns containers.
            ChromiumSandbox = !Environment.IsPrivilegedProcess,
        });
        var page = await browser.NewPageAsync(new() { ViewportSize = new() { Width = 1200, Height = 900 } });
        page.SetDefaultTimeout(60_000);
        return new(playwright, browser, page);
    }

    /// <summary>Keeps a picture of the page in artifacts/screenshots, to be looked at.</summary>
    public async Task PictureAsync(string name)
    {
        var folder = Path.Combine(Goldens.RepositoryRoot, "artifacts", "screenshots");
        await Page.ScreenshotAsync(new() { Path = Path.Combine(folder, name + ".png") });
    }

    public async ValueTask DisposeAsync()
    {
        // Where a test fails, this is what it saw.
        await PictureAsync("last");
        await _browser.DisposeAsync();
        _playwright.Dispose();
    }
}
