using Microsoft.DotNet.Interactive;
using Microsoft.DotNet.Interactive.Formatting;

namespace XPlot.Plotly.Interactive;

public class KernelExtension : IKernelExtension
{
    public Task OnLoadAsync(Kernel kernel)
    {
        Formatter.Register<PlotlyChart>(static (chart, writer) => writer.Write(chart.GetInlineHtml()), HtmlFormatter.MimeType);
        return Task.CompletedTask;
    }
}
