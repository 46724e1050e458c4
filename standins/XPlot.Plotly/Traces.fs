namespace XPlot.Plotly

[<AllowNullLiteral>]
type Trace() =

    member this.name
        with get (): string = PropertyBag.get this "name"
        and set (value: string) = PropertyBag.set this "name" value

type Scatter() as this =
    inherit Trace()
    do this.``type`` <- "scatter"

    member this.``type``
        with get (): string = PropertyBag.get this "type"
        and set (value: string) = PropertyBag.set this "type" value

    member this.x
        with get (): obj = PropertyBag.get this "x"
        and set (value: obj) = PropertyBag.set this "x" value

    member this.y
        with get (): obj = PropertyBag.get this "y"
        and set (value: obj) = PropertyBag.set this "y" value

    member this.mode
        with get (): string = PropertyBag.get this "mode"
        and set (value: string) = PropertyBag.set this "mode" value

    member this.line
        with get (): Line = PropertyBag.get this "line"
        and set (value: Line) = PropertyBag.set this "line" value

    member this.marker
        with get (): Marker = PropertyBag.get this "marker"
        and set (value: Marker) = PropertyBag.set this "marker" value

    member this.error_x
        with get (): Error_x = PropertyBag.get this "error_x"
        and set (value: Error_x) = PropertyBag.set this "error_x" value

    member this.error_y
        with get (): Error_y = PropertyBag.get this "error_y"
        and set (value: Error_y) = PropertyBag.set this "error_y" value

    member this.fill
        with get (): obj = PropertyBag.get this "fill"
        and set (value: obj) = PropertyBag.set this "fill" value

    member this.fillcolor
        with get (): string = PropertyBag.get this "fillcolor"
        and set (value: string) = PropertyBag.set this "fillcolor" value

    member this.opacity
        with get (): float = PropertyBag.get this "opacity"
        and set (value: float) = PropertyBag.set this "opacity" value

    member this.text
        with get (): obj = PropertyBag.get this "text"
        and set (value: obj) = PropertyBag.set this "text" value

    member this.textposition
        with get (): obj = PropertyBag.get this "textposition"
        and set (value: obj) = PropertyBag.set this "textposition" value

    member this.showlegend
        with get (): bool = PropertyBag.get this "showlegend"
        and set (value: bool) = PropertyBag.set this "showlegend" value

    member this.legendgroup
        with get (): string = PropertyBag.get this "legendgroup"
        and set (value: string) = PropertyBag.set this "legendgroup" value

    member this.hoverinfo
        with get (): string = PropertyBag.get this "hoverinfo"
        and set (value: string) = PropertyBag.set this "hoverinfo" value

    member this.xaxis
        with get (): string = PropertyBag.get this "xaxis"
        and set (value: string) = PropertyBag.set this "xaxis" value

    member this.yaxis
        with get (): string = PropertyBag.get this "yaxis"
        and set (value: string) = PropertyBag.set this "yaxis" value

    member this.connectgaps
        with get (): bool = PropertyBag.get this "connectgaps"
        and set (value: bool) = PropertyBag.set this "connectgaps" value

type Bar() as this =
    inherit Trace()
    do this.``type`` <- "bar"

    member this.``type``
        with get (): string = PropertyBag.get this "type"
        and set (value: string) = PropertyBag.set this "type" value

    member this.x
        with get (): obj = PropertyBag.get this "x"
        and set (value: obj) = PropertyBag.set this "x" value

    member this.y
        with get (): obj = PropertyBag.get this "y"
        and set (value: obj) = PropertyBag.set this "y" value

    member this.marker
        with get (): Marker = PropertyBag.get this "marker"
        and set (value: Marker) = PropertyBag.set this "marker" value

    member this.error_y
        with get (): Error_y = PropertyBag.get this "error_y"
        and set (value: Error_y) = PropertyBag.set this "error_y" value

    member this.orientation
        with get (): obj = PropertyBag.get this "orientation"
        and set (value: obj) = PropertyBag.set this "orientation" value

    member this.text
        with get (): obj = PropertyBag.get this "text"
        and set (value: obj) = PropertyBag.set this "text" value

    member this.opacity
        with get (): float = PropertyBag.get this "opacity"
        and set (value: float) = PropertyBag.set this "opacity" value

    member this.showlegend
        with get (): bool = PropertyBag.get this "showlegend"
        and set (value: bool) = PropertyBag.set this "showlegend" value

    member this.legendgroup
        with get (): string = PropertyBag.get this "legendgroup"
        and set (value: string) = PropertyBag.set this "legendgroup" value

    member this.hoverinfo
        with get (): string = PropertyBag.get this "hoverinfo"
        and set (value: string) = PropertyBag.set this "hoverinfo" value

    member this.xaxis
        with get (): string = PropertyBag.get this "xaxis"
        and set (value: string) = PropertyBag.set this "xaxis" value

    member this.yaxis
        with get (): string = PropertyBag.get this "yaxis"
        and set (value: string) = PropertyBag.set this "yaxis" value

type Heatmap() as this =
    inherit Trace()
    do this.``type`` <- "heatmap"

    member this.``type``
        with get (): string = PropertyBag.get this "type"
        and set (value: string) = PropertyBag.set this "type" value

    member this.x
        with get (): obj = PropertyBag.get this "x"
        and set (value: obj) = PropertyBag.set this "x" value

    member this.y
        with get (): obj = PropertyBag.get this "y"
        and set (value: obj) = PropertyBag.set this "y" value

    member this.z
        with get (): obj = PropertyBag.get this "z"
        and set (value: obj) = PropertyBag.set this "z" value

    member this.zmin
        with get (): float = PropertyBag.get this "zmin"
        and set (value: float) = PropertyBag.set this "zmin" value

    member this.zmax
        with get (): float = PropertyBag.get this "zmax"
        and set (value: float) = PropertyBag.set this "zmax" value

    member this.zauto
        with get (): bool = PropertyBag.get this "zauto"
        and set (value: bool) = PropertyBag.set this "zauto" value

    member this.colorscale
        with get (): obj = PropertyBag.get this "colorscale"
        and set (value: obj) = PropertyBag.set this "colorscale" value

    member this.reversescale
        with get (): bool = PropertyBag.get this "reversescale"
        and set (value: bool) = PropertyBag.set this "reversescale" value

    member this.showscale
        with get (): bool = PropertyBag.get this "showscale"
        and set (value: bool) = PropertyBag.set this "showscale" value

    member this.colorbar
        with get (): Colorbar = PropertyBag.get this "colorbar"
        and set (value: Colorbar) = PropertyBag.set this "colorbar" value

    member this.text
        with get (): obj = PropertyBag.get this "text"
        and set (value: obj) = PropertyBag.set this "text" value

    member this.hoverinfo
        with get (): string = PropertyBag.get this "hoverinfo"
        and set (value: string) = PropertyBag.set this "hoverinfo" value

    member this.xaxis
        with get (): string = PropertyBag.get this "xaxis"
        and set (value: string) = PropertyBag.set this "xaxis" value

    member this.yaxis
        with get (): string = PropertyBag.get this "yaxis"
        and set (value: string) = PropertyBag.set this "yaxis" value

type Box() as this =
    inherit Trace()
    do this.``type`` <- "box"

    member this.``type``
        with get (): string = PropertyBag.get this "type"
        and set (value: string) = PropertyBag.set this "type" value

    member this.x
        with get (): obj = PropertyBag.get this "x"
        and set (value: obj) = PropertyBag.set this "x" value

    member this.y
        with get (): obj = PropertyBag.get this "y"
        and set (value: obj) = PropertyBag.set this "y" value

    member this.boxpoints
        with get (): obj = PropertyBag.get this "boxpoints"
        and set (value: obj) = PropertyBag.set this "boxpoints" value

    member this.boxmean
        with get (): obj = PropertyBag.get this "boxmean"
        and set (value: obj) = PropertyBag.set this "boxmean" value

    member this.jitter
        with get (): float = PropertyBag.get this "jitter"
        and set (value: float) = PropertyBag.set this "jitter" value

    member this.pointpos
        with get (): float = PropertyBag.get this "pointpos"
        and set (value: float) = PropertyBag.set this "pointpos" value

    member this.marker
        with get (): Marker = PropertyBag.get this "marker"
        and set (value: Marker) = PropertyBag.set this "marker" value

    member this.line
        with get (): Line = PropertyBag.get this "line"
        and set (value: Line) = PropertyBag.set this "line" value

    member this.fillcolor
        with get (): string = PropertyBag.get this "fillcolor"
        and set (value: string) = PropertyBag.set this "fillcolor" value

    member this.opacity
        with get (): float = PropertyBag.get this "opacity"
        and set (value: float) = PropertyBag.set this "opacity" value

    member this.orientation
        with get (): obj = PropertyBag.get this "orientation"
        and set (value: obj) = PropertyBag.set this "orientation" value

    member this.showlegend
        with get (): bool = PropertyBag.get this "showlegend"
        and set (value: bool) = PropertyBag.set this "showlegend" value

    member this.xaxis
        with get (): string = PropertyBag.get this "xaxis"
        and set (value: string) = PropertyBag.set this "xaxis" value

    member this.yaxis
        with get (): string = PropertyBag.get this "yaxis"
        and set (value: string) = PropertyBag.set this "yaxis" value

type Histogram() as this =
    inherit Trace()
    do this.``type`` <- "histogram"

    member this.``type``
        with get (): string = PropertyBag.get this "type"
        and set (value: string) = PropertyBag.set this "type" value

    member this.x
        with get (): obj = PropertyBag.get this "x"
        and set (value: obj) = PropertyBag.set this "x" value

    member this.y
        with get (): obj = PropertyBag.get this "y"
        and set (value: obj) = PropertyBag.set this "y" value

    member this.nbinsx
        with get (): int = PropertyBag.get this "nbinsx"
        and set (value: int) = PropertyBag.set this "nbinsx" value

    member this.nbinsy
        with get (): int = PropertyBag.get this "nbinsy"
        and set (value: int) = PropertyBag.set this "nbinsy" value

    member this.xbins
        with get (): Xbins = PropertyBag.get this "xbins"
        and set (value: Xbins) = PropertyBag.set this "xbins" value

    member this.autobinx
        with get (): bool = PropertyBag.get this "autobinx"
        and set (value: bool) = PropertyBag.set this "autobinx" value

    member this.histnorm
        with get (): obj = PropertyBag.get this "histnorm"
        and set (value: obj) = PropertyBag.set this "histnorm" value

    member this.marker
        with get (): Marker = PropertyBag.get this "marker"
        and set (value: Marker) = PropertyBag.set this "marker" value

    member this.opacity
        with get (): float = PropertyBag.get this "opacity"
        and set (value: float) = PropertyBag.set this "opacity" value

    member this.orientation
        with get (): obj = PropertyBag.get this "orientation"
        and set (value: obj) = PropertyBag.set this "orientation" value

    member this.showlegend
        with get (): bool = PropertyBag.get this "showlegend"
        and set (value: bool) = PropertyBag.set this "showlegend" value

    member this.xaxis
        with get (): string = PropertyBag.get this "xaxis"
        and set (value: string) = PropertyBag.set this "xaxis" value

    member this.yaxis
        with get (): string = PropertyBag.get this "yaxis"
        and set (value: string) = PropertyBag.set this "yaxis" value
