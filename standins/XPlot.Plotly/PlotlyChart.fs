namespace XPlot.Plotly

open System

type PlotlyChart() =

    let mutable traces: Trace[] = [||]
    let mutable layout: Layout.Layout = null

    let ensuredLayout () =
        if isNull layout then
            layout <- Layout.Layout()

        layout

    member val Height = 500 with get, set

    member val Id = Guid.NewGuid().ToString() with get, set

    member val PlotlySrc = Html.DefaultPlotlySrc with get, set

    member val Width = 900 with get, set

    member this.GetHtml() =
        $"""<!DOCTYPE html>
<html>
<head><meta charset="UTF-8" /><script src="{this.PlotlySrc}"></script></head>
<body>{this.GetInlineHtml()}</body>
</html>"""

    member this.GetInlineHtml() =
        $"""<div id="{this.Id}" style="width: {this.Width}px; height: {this.Height}px;"></div>
<script type="text/javascript">
{this.GetInlineJS()}
</script>"""

    member this.GetInlineJS() = "(function() {\n" + this.GetPlottingJS() + "\n})();"

    member this.GetPlottingJS() =
        let layoutJson = if isNull layout then "\"\"" else PlotJson.ofObject layout

        $"""var data = {PlotJson.ofObject traces};
var layout = {layoutJson};
Plotly.newPlot('{this.Id}', data, layout);"""

    member internal _.Show(data: seq<Trace>, chosen: Layout.Layout) =
        traces <- Seq.toArray data
        layout <- chosen

    member this.WithHeight(height: int) : unit = this.Height <- height

    member this.WithId(newId: string) : unit = this.Id <- newId

    member _.WithLabels(labels: seq<string>) : unit =
        for trace, label in Seq.zip traces labels do
            trace.name <- label

    member _.WithLayout(layoutObj: Layout.Layout) : unit = layout <- layoutObj

    member _.WithLegend(enabled: bool) : unit = ensuredLayout().showlegend <- enabled

    member this.WithPlotlySrc(src: string) : unit = this.PlotlySrc <- src

    member this.WithSize(width: int, height: int) : unit =
        this.Width <- width
        this.Height <- height

    member _.WithTitle(title: string) : unit = ensuredLayout().title <- title

    member this.WithWidth(width: int) : unit = this.Width <- width

    member _.WithXTitle(xTitle: string) : unit =
        let layout = ensuredLayout ()

        if isNull layout.xaxis then
            layout.xaxis <- Xaxis()

        layout.xaxis.title <- xTitle

    member _.WithYTitle(yTitle: string) : unit =
        let layout = ensuredLayout ()

        if isNull layout.yaxis then
            layout.yaxis <- Yaxis()

        layout.yaxis.title <- yTitle
