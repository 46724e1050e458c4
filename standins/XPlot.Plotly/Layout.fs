namespace XPlot.Plotly

module Layout =

    [<AllowNullLiteral>]
    type Layout() =

        member this.title
            with get (): string = PropertyBag.get this "title"
            and set (value: string) = PropertyBag.set this "title" value

        member this.titlefont
            with get (): Font = PropertyBag.get this "titlefont"
            and set (value: Font) = PropertyBag.set this "titlefont" value

        member this.width
            with get (): float = PropertyBag.get this "width"
            and set (value: float) = PropertyBag.set this "width" value

        member this.height
            with get (): float = PropertyBag.get this "height"
            and set (value: float) = PropertyBag.set this "height" value

        member this.autosize
            with get (): obj = PropertyBag.get this "autosize"
            and set (value: obj) = PropertyBag.set this "autosize" value

        member this.xaxis
            with get (): Xaxis = PropertyBag.get this "xaxis"
            and set (value: Xaxis) = PropertyBag.set this "xaxis" value

        member this.xaxis2
            with get (): Xaxis = PropertyBag.get this "xaxis2"
            and set (value: Xaxis) = PropertyBag.set this "xaxis2" value

        member this.yaxis
            with get (): Yaxis = PropertyBag.get this "yaxis"
            and set (value: Yaxis) = PropertyBag.set this "yaxis" value

        member this.yaxis2
            with get (): Yaxis = PropertyBag.get this "yaxis2"
            and set (value: Yaxis) = PropertyBag.set this "yaxis2" value

        member this.barmode
            with get (): string = PropertyBag.get this "barmode"
            and set (value: string) = PropertyBag.set this "barmode" value

        member this.boxmode
            with get (): string = PropertyBag.get this "boxmode"
            and set (value: string) = PropertyBag.set this "boxmode" value

        member this.bargap
            with get (): float = PropertyBag.get this "bargap"
            and set (value: float) = PropertyBag.set this "bargap" value

        member this.bargroupgap
            with get (): float = PropertyBag.get this "bargroupgap"
            and set (value: float) = PropertyBag.set this "bargroupgap" value

        member this.legend
            with get (): Legend = PropertyBag.get this "legend"
            and set (value: Legend) = PropertyBag.set this "legend" value

        member this.showlegend
            with get (): bool = PropertyBag.get this "showlegend"
            and set (value: bool) = PropertyBag.set this "showlegend" value

        member this.margin
            with get (): Margin = PropertyBag.get this "margin"
            and set (value: Margin) = PropertyBag.set this "margin" value

        member this.font
            with get (): Font = PropertyBag.get this "font"
            and set (value: Font) = PropertyBag.set this "font" value

        member this.annotations
            with get (): seq<Annotation> = PropertyBag.get this "annotations"
            and set (value: seq<Annotation>) = PropertyBag.set this "annotations" value

        member this.shapes
            with get (): seq<Shape> = PropertyBag.get this "shapes"
            and set (value: seq<Shape>) = PropertyBag.set this "shapes" value

        member this.paper_bgcolor
            with get (): string = PropertyBag.get this "paper_bgcolor"
            and set (value: string) = PropertyBag.set this "paper_bgcolor" value

        member this.plot_bgcolor
            with get (): string = PropertyBag.get this "plot_bgcolor"
            and set (value: string) = PropertyBag.set this "plot_bgcolor" value

        member this.hovermode
            with get (): obj = PropertyBag.get this "hovermode"
            and set (value: obj) = PropertyBag.set this "hovermode" value
