namespace XPlot.Plotly

type Chart private () =

    static let show (data: seq<Trace>) layout =
        let chart = PlotlyChart()
        chart.Show(data, layout)
        chart

    static member Plot(data: Trace) = show [ data ] null

    static member Plot(data: Trace, layout: Layout.Layout) = show [ data ] layout

    static member Plot<'T when 'T :> Trace>(data: seq<'T>) = show (Seq.cast<Trace> data) null

    static member Plot<'T when 'T :> Trace>(data: seq<'T>, layout: Layout.Layout) = show (Seq.cast<Trace> data) layout
