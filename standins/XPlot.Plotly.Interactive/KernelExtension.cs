using Microsoft.DotNet.Interactive;
using Microsoft.DotNet.Interactive.Formatting;

namespace XPlot.Plotly.Interactive;

public class KernelExtension : IKernelExtension
{
    Task IKernelExtension.OnLoadAsync(Kernel kernel)
    {
        Formatter.Register<PlotlyChart>(static (chart, writer) => writer.Write(chart.GetInlineHtml()), HtmlFormatter.MimeType);
        return Task.CompletedTask;
    }
}
