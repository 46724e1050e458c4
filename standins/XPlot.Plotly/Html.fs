namespace XPlot.Plotly

module Html =

    [<Literal>]
    let DefaultPlotlySrc = "https://cdn.plot.ly/plotly-latest.min.js"
