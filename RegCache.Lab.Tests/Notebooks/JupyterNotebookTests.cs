using Microsoft.Playwright;

namespace RegCache.Lab.Tests.Notebooks;

/// <summary>Debian's Jupyter Notebook in a browser, as a person uses it.</summary>
[Collection(NotebookTests.Name)]
public sealed class JupyterNotebookTests
{
    [BrowserFact(NeedsJupyter = true)]
    [Trait("Category", "Slow")]
    public async Task APersonRunsLesson2InterruptsRestartsAndCompletes()
    {
        using var server = new JupyterServer(Lesson.Of("02"));
        await server.WaitAsync();
        await using var browser = await Browser.OpenAsync();
        var page = browser.Page;
        await page.GotoAsync(server.Page);
        await IdleAsync(page);

        // As it is kept it shows pictures; when it is run, plots.
        Assert.Equal(0, await page.Locator(".regcache-plot").CountAsync());
        await page.ClickAsync("#celllink");
        await page.ClickAsync("#run_all_cells");
        await page.Locator(".regcache-plot .main-svg .scatterlayer .trace").First.WaitForAsync();
        await page.Locator(".regcache-plot .main-svg .barlayer .trace").First.WaitForAsync();
        await page.Locator("table.dataframe").First.WaitForAsync();
        await IdleAsync(page);
        Assert.Equal(0, await page.Locator(".output_error").CountAsync());
        await page.Locator(".regcache-plot").First.ScrollIntoViewIfNeededAsync();
        await browser.PictureAsync("jupyter-02");

        var cell = await AppendAsync(page, "while (true) { }");
        await page.Keyboard.PressAsync("Control+Enter");
        await page.WaitForFunctionAsync("() => Jupyter.notebook.kernel_busy");
        await page.ClickAsync("#int_kernel button, button[data-jupyter-action='jupyter-notebook:interrupt-kernel']");
        await cell.Locator(".output_error").WaitForAsync();
        Assert.Contains("Interrupted", await cell.Locator(".output_error").TextContentAsync(), StringComparison.Ordinal);
        Assert.Contains("Tensor", await RunAsync(page, "images"), StringComparison.Ordinal);

        await AppendAsync(page, "torch.");
        await page.Keyboard.PressAsync("Tab");
        await page.Locator("#complete").WaitForAsync();
        Assert.Contains("arange", await page.Locator("#complete").TextContentAsync(), StringComparison.Ordinal);
        await browser.PictureAsync("jupyter-completion");
        await page.Keyboard.PressAsync("Escape");

        await page.ClickAsync("button[data-jupyter-action='jupyter-notebook:confirm-restart-kernel']");
        await page.ClickAsync(".modal-footer .btn-danger");
        await page.WaitForFunctionAsync("() => !Jupyter.notebook.kernel_busy && Jupyter.notebook.kernel.is_connected()");
        Assert.Contains("does not exist", await RunAsync(page, "images"), StringComparison.Ordinal);
    }

    private static async Task IdleAsync(IPage page) => await page.WaitForFunctionAsync(
        "() => window.Jupyter && Jupyter.notebook && Jupyter.notebook.kernel && Jupyter.notebook.kernel.is_connected() && !Jupyter.notebook.kernel_busy"
        + " && Jupyter.notebook.get_cells().every(cell => cell.cell_type !== 'code' || cell.element[0].querySelector('.input_prompt').textContent.indexOf('*') < 0)");

    /// <summary>Types a cell below the last one and leaves the cursor in it.</summary>
    private static async Task<ILocator> AppendAsync(IPage page, string code)
    {
        await page.EvaluateAsync("() => { const n = Jupyter.notebook; n.select(n.ncells() - 1); n.insert_cell_below('code'); n.select_next(); n.edit_mode(); }");
        await page.Keyboard.TypeAsync(code);
        return page.Locator(".cell.selected");
    }

    /// <summary>Runs a cell and gives back what it shows.</summary>
    private static async Task<string> RunAsync(IPage page, string code)
    {
        var cell = await AppendAsync(page, code);
        await page.Keyboard.PressAsync("Control+Enter");
        await cell.Locator(".output_subarea").First.WaitForAsync();
        return await cell.Locator(".output").InnerTextAsync();
    }
}
