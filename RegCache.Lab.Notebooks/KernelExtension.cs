using Microsoft.DotNet.Interactive;
using RegCache.Lab.Notebooks.Formats;

namespace RegCache.Lab.Notebooks;

/// <summary>
/// Makes the kit's values look right in notebooks. The kit's own kernel loads it with <c>#r</c>; other kernels of .NET Interactive look
/// for extensions in packages only, so the notebooks also call <see cref="Load"/>.
/// </summary>
public sealed class KernelExtension : IKernelExtension
{
    private static int _loaded;

    /// <summary>Registers the formats, and shows the script that plots need where the page does not get it otherwise.</summary>
    public static void Load()
    {
        KitFormats.Register();
        if (Interlocked.Exchange(ref _loaded, 1) == 0)
        {
            PlotScript.Show();
        }
    }

    /// <inheritdoc/>
    public Task OnLoadAsync(Microsoft.DotNet.Interactive.Kernel kernel)
    {
        Load();
        return Task.CompletedTask;
    }
}
