namespace XPlot.Plotly

[<AllowNullLiteral>]
type Font() =

    member this.family
        with get (): string = PropertyBag.get this "family"
        and set (value: string) = PropertyBag.set this "family" value

    member this.size
        with get (): float = PropertyBag.get this "size"
        and set (value: float) = PropertyBag.set this "size" value

    member this.color
        with get (): string = PropertyBag.get this "color"
        and set (value: string) = PropertyBag.set this "color" value

[<AllowNullLiteral>]
type Line() =

    member this.color
        with get (): obj = PropertyBag.get this "color"
        and set (value: obj) = PropertyBag.set this "color" value

    member this.width
        with get (): obj = PropertyBag.get this "width"
        and set (value: obj) = PropertyBag.set this "width" value

    member this.dash
        with get (): string = PropertyBag.get this "dash"
        and set (value: string) = PropertyBag.set this "dash" value

    member this.shape
        with get (): obj = PropertyBag.get this "shape"
        and set (value: obj) = PropertyBag.set this "shape" value

    member this.smoothing
        with get (): float = PropertyBag.get this "smoothing"
        and set (value: float) = PropertyBag.set this "smoothing" value

[<AllowNullLiteral>]
type Margin() =

    member this.l
        with get (): float = PropertyBag.get this "l"
        and set (value: float) = PropertyBag.set this "l" value

    member this.r
        with get (): float = PropertyBag.get this "r"
        and set (value: float) = PropertyBag.set this "r" value

    member this.t
        with get (): float = PropertyBag.get this "t"
        and set (value: float) = PropertyBag.set this "t" value

    member this.b
        with get (): float = PropertyBag.get this "b"
        and set (value: float) = PropertyBag.set this "b" value

    member this.pad
        with get (): float = PropertyBag.get this "pad"
        and set (value: float) = PropertyBag.set this "pad" value

[<AllowNullLiteral>]
type Legend() =

    member this.x
        with get (): float = PropertyBag.get this "x"
        and set (value: float) = PropertyBag.set this "x" value

    member this.y
        with get (): float = PropertyBag.get this "y"
        and set (value: float) = PropertyBag.set this "y" value

    member this.xanchor
        with get (): obj = PropertyBag.get this "xanchor"
        and set (value: obj) = PropertyBag.set this "xanchor" value

    member this.yanchor
        with get (): obj = PropertyBag.get this "yanchor"
        and set (value: obj) = PropertyBag.set this "yanchor" value

    member this.orientation
        with get (): string = PropertyBag.get this "orientation"
        and set (value: string) = PropertyBag.set this "orientation" value

    member this.font
        with get (): Font = PropertyBag.get this "font"
        and set (value: Font) = PropertyBag.set this "font" value

    member this.bgcolor
        with get (): string = PropertyBag.get this "bgcolor"
        and set (value: string) = PropertyBag.set this "bgcolor" value

    member this.bordercolor
        with get (): string = PropertyBag.get this "bordercolor"
        and set (value: string) = PropertyBag.set this "bordercolor" value

    member this.borderwidth
        with get (): float = PropertyBag.get this "borderwidth"
        and set (value: float) = PropertyBag.set this "borderwidth" value

[<AllowNullLiteral>]
type Colorbar() =

    member this.title
        with get (): string = PropertyBag.get this "title"
        and set (value: string) = PropertyBag.set this "title" value

    member this.len
        with get (): float = PropertyBag.get this "len"
        and set (value: float) = PropertyBag.set this "len" value

    member this.thickness
        with get (): float = PropertyBag.get this "thickness"
        and set (value: float) = PropertyBag.set this "thickness" value

    member this.tickformat
        with get (): string = PropertyBag.get this "tickformat"
        and set (value: string) = PropertyBag.set this "tickformat" value

    member this.tickvals
        with get (): obj = PropertyBag.get this "tickvals"
        and set (value: obj) = PropertyBag.set this "tickvals" value

    member this.ticktext
        with get (): obj = PropertyBag.get this "ticktext"
        and set (value: obj) = PropertyBag.set this "ticktext" value

[<AllowNullLiteral>]
type Marker() =

    member this.color
        with get (): obj = PropertyBag.get this "color"
        and set (value: obj) = PropertyBag.set this "color" value

    member this.size
        with get (): obj = PropertyBag.get this "size"
        and set (value: obj) = PropertyBag.set this "size" value

    member this.symbol
        with get (): obj = PropertyBag.get this "symbol"
        and set (value: obj) = PropertyBag.set this "symbol" value

    member this.opacity
        with get (): obj = PropertyBag.get this "opacity"
        and set (value: obj) = PropertyBag.set this "opacity" value

    member this.colorscale
        with get (): obj = PropertyBag.get this "colorscale"
        and set (value: obj) = PropertyBag.set this "colorscale" value

    member this.cmin
        with get (): float = PropertyBag.get this "cmin"
        and set (value: float) = PropertyBag.set this "cmin" value

    member this.cmax
        with get (): float = PropertyBag.get this "cmax"
        and set (value: float) = PropertyBag.set this "cmax" value

    member this.showscale
        with get (): bool = PropertyBag.get this "showscale"
        and set (value: bool) = PropertyBag.set this "showscale" value

    member this.colorbar
        with get (): Colorbar = PropertyBag.get this "colorbar"
        and set (value: Colorbar) = PropertyBag.set this "colorbar" value

    member this.line
        with get (): Line = PropertyBag.get this "line"
        and set (value: Line) = PropertyBag.set this "line" value

[<AllowNullLiteral>]
type Error_x() =

    member this.``type``
        with get (): obj = PropertyBag.get this "type"
        and set (value: obj) = PropertyBag.set this "type" value

    member this.array
        with get (): obj = PropertyBag.get this "array"
        and set (value: obj) = PropertyBag.set this "array" value

    member this.arrayminus
        with get (): obj = PropertyBag.get this "arrayminus"
        and set (value: obj) = PropertyBag.set this "arrayminus" value

    member this.symmetric
        with get (): bool = PropertyBag.get this "symmetric"
        and set (value: bool) = PropertyBag.set this "symmetric" value

    member this.visible
        with get (): bool = PropertyBag.get this "visible"
        and set (value: bool) = PropertyBag.set this "visible" value

    member this.color
        with get (): string = PropertyBag.get this "color"
        and set (value: string) = PropertyBag.set this "color" value

    member this.thickness
        with get (): float = PropertyBag.get this "thickness"
        and set (value: float) = PropertyBag.set this "thickness" value

    member this.width
        with get (): float = PropertyBag.get this "width"
        and set (value: float) = PropertyBag.set this "width" value

[<AllowNullLiteral>]
type Error_y() =

    member this.``type``
        with get (): obj = PropertyBag.get this "type"
        and set (value: obj) = PropertyBag.set this "type" value

    member this.array
        with get (): obj = PropertyBag.get this "array"
        and set (value: obj) = PropertyBag.set this "array" value

    member this.arrayminus
        with get (): obj = PropertyBag.get this "arrayminus"
        and set (value: obj) = PropertyBag.set this "arrayminus" value

    member this.symmetric
        with get (): bool = PropertyBag.get this "symmetric"
        and set (value: bool) = PropertyBag.set this "symmetric" value

    member this.visible
        with get (): bool = PropertyBag.get this "visible"
        and set (value: bool) = PropertyBag.set this "visible" value

    member this.color
        with get (): string = PropertyBag.get this "color"
        and set (value: string) = PropertyBag.set this "color" value

    member this.thickness
        with get (): float = PropertyBag.get this "thickness"
        and set (value: float) = PropertyBag.set this "thickness" value

    member this.width
        with get (): float = PropertyBag.get this "width"
        and set (value: float) = PropertyBag.set this "width" value

[<AllowNullLiteral>]
type Xbins() =

    member this.start
        with get (): float = PropertyBag.get this "start"
        and set (value: float) = PropertyBag.set this "start" value

    member this.``end``
        with get (): float = PropertyBag.get this "end"
        and set (value: float) = PropertyBag.set this "end" value

    member this.size
        with get (): obj = PropertyBag.get this "size"
        and set (value: obj) = PropertyBag.set this "size" value

[<AllowNullLiteral>]
type Xaxis() =

    member this.title
        with get (): string = PropertyBag.get this "title"
        and set (value: string) = PropertyBag.set this "title" value

    member this.titlefont
        with get (): Font = PropertyBag.get this "titlefont"
        and set (value: Font) = PropertyBag.set this "titlefont" value

    member this.``type``
        with get (): obj = PropertyBag.get this "type"
        and set (value: obj) = PropertyBag.set this "type" value

    member this.range
        with get (): obj = PropertyBag.get this "range"
        and set (value: obj) = PropertyBag.set this "range" value

    member this.autorange
        with get (): obj = PropertyBag.get this "autorange"
        and set (value: obj) = PropertyBag.set this "autorange" value

    member this.tickmode
        with get (): obj = PropertyBag.get this "tickmode"
        and set (value: obj) = PropertyBag.set this "tickmode" value

    member this.tickvals
        with get (): obj = PropertyBag.get this "tickvals"
        and set (value: obj) = PropertyBag.set this "tickvals" value

    member this.ticktext
        with get (): obj = PropertyBag.get this "ticktext"
        and set (value: obj) = PropertyBag.set this "ticktext" value

    member this.tickangle
        with get (): float = PropertyBag.get this "tickangle"
        and set (value: float) = PropertyBag.set this "tickangle" value

    member this.tickformat
        with get (): string = PropertyBag.get this "tickformat"
        and set (value: string) = PropertyBag.set this "tickformat" value

    member this.tick0
        with get (): float = PropertyBag.get this "tick0"
        and set (value: float) = PropertyBag.set this "tick0" value

    member this.dtick
        with get (): obj = PropertyBag.get this "dtick"
        and set (value: obj) = PropertyBag.set this "dtick" value

    member this.nticks
        with get (): int = PropertyBag.get this "nticks"
        and set (value: int) = PropertyBag.set this "nticks" value

    member this.showgrid
        with get (): bool = PropertyBag.get this "showgrid"
        and set (value: bool) = PropertyBag.set this "showgrid" value

    member this.gridcolor
        with get (): string = PropertyBag.get this "gridcolor"
        and set (value: string) = PropertyBag.set this "gridcolor" value

    member this.zeroline
        with get (): bool = PropertyBag.get this "zeroline"
        and set (value: bool) = PropertyBag.set this "zeroline" value

    member this.showticklabels
        with get (): bool = PropertyBag.get this "showticklabels"
        and set (value: bool) = PropertyBag.set this "showticklabels" value

    member this.showline
        with get (): bool = PropertyBag.get this "showline"
        and set (value: bool) = PropertyBag.set this "showline" value

    member this.domain
        with get (): obj = PropertyBag.get this "domain"
        and set (value: obj) = PropertyBag.set this "domain" value

    member this.anchor
        with get (): obj = PropertyBag.get this "anchor"
        and set (value: obj) = PropertyBag.set this "anchor" value

    member this.overlaying
        with get (): obj = PropertyBag.get this "overlaying"
        and set (value: obj) = PropertyBag.set this "overlaying" value

    member this.side
        with get (): obj = PropertyBag.get this "side"
        and set (value: obj) = PropertyBag.set this "side" value

[<AllowNullLiteral>]
type Yaxis() =

    member this.title
        with get (): string = PropertyBag.get this "title"
        and set (value: string) = PropertyBag.set this "title" value

    member this.titlefont
        with get (): Font = PropertyBag.get this "titlefont"
        and set (value: Font) = PropertyBag.set this "titlefont" value

    member this.``type``
        with get (): obj = PropertyBag.get this "type"
        and set (value: obj) = PropertyBag.set this "type" value

    member this.range
        with get (): obj = PropertyBag.get this "range"
        and set (value: obj) = PropertyBag.set this "range" value

    member this.autorange
        with get (): obj = PropertyBag.get this "autorange"
        and set (value: obj) = PropertyBag.set this "autorange" value

    member this.tickmode
        with get (): obj = PropertyBag.get this "tickmode"
        and set (value: obj) = PropertyBag.set this "tickmode" value

    member this.tickvals
        with get (): obj = PropertyBag.get this "tickvals"
        and set (value: obj) = PropertyBag.set this "tickvals" value

    member this.ticktext
        with get (): obj = PropertyBag.get this "ticktext"
        and set (value: obj) = PropertyBag.set this "ticktext" value

    member this.tickangle
        with get (): float = PropertyBag.get this "tickangle"
        and set (value: float) = PropertyBag.set this "tickangle" value

    member this.tickformat
        with get (): string = PropertyBag.get this "tickformat"
        and set (value: string) = PropertyBag.set this "tickformat" value

    member this.tick0
        with get (): float = PropertyBag.get this "tick0"
        and set (value: float) = PropertyBag.set this "tick0" value

    member this.dtick
        with get (): obj = PropertyBag.get this "dtick"
        and set (value: obj) = PropertyBag.set this "dtick" value

    member this.nticks
        with get (): int = PropertyBag.get this "nticks"
        and set (value: int) = PropertyBag.set this "nticks" value

    member this.showgrid
        with get (): bool = PropertyBag.get this "showgrid"
        and set (value: bool) = PropertyBag.set this "showgrid" value

    member this.gridcolor
        with get (): string = PropertyBag.get this "gridcolor"
        and set (value: string) = PropertyBag.set this "gridcolor" value

    member this.zeroline
        with get (): bool = PropertyBag.get this "zeroline"
        and set (value: bool) = PropertyBag.set this "zeroline" value

    member this.showticklabels
        with get (): bool = PropertyBag.get this "showticklabels"
        and set (value: bool) = PropertyBag.set this "showticklabels" value

    member this.showline
        with get (): bool = PropertyBag.get this "showline"
        and set (value: bool) = PropertyBag.set this "showline" value

    member this.domain
        with get (): obj = PropertyBag.get this "domain"
        and set (value: obj) = PropertyBag.set this "domain" value

    member this.anchor
        with get (): obj = PropertyBag.get this "anchor"
        and set (value: obj) = PropertyBag.set this "anchor" value

    member this.overlaying
        with get (): obj = PropertyBag.get this "overlaying"
        and set (value: obj) = PropertyBag.set this "overlaying" value

    member this.side
        with get (): obj = PropertyBag.get this "side"
        and set (value: obj) = PropertyBag.set this "side" value

[<AllowNullLiteral>]
type Annotation() =

    member this.x
        with get (): obj = PropertyBag.get this "x"
        and set (value: obj) = PropertyBag.set this "x" value

    member this.y
        with get (): obj = PropertyBag.get this "y"
        and set (value: obj) = PropertyBag.set this "y" value

    member this.xref
        with get (): obj = PropertyBag.get this "xref"
        and set (value: obj) = PropertyBag.set this "xref" value

    member this.yref
        with get (): obj = PropertyBag.get this "yref"
        and set (value: obj) = PropertyBag.set this "yref" value

    member this.text
        with get (): string = PropertyBag.get this "text"
        and set (value: string) = PropertyBag.set this "text" value

    member this.showarrow
        with get (): bool = PropertyBag.get this "showarrow"
        and set (value: bool) = PropertyBag.set this "showarrow" value

    member this.arrowhead
        with get (): int = PropertyBag.get this "arrowhead"
        and set (value: int) = PropertyBag.set this "arrowhead" value

    member this.ax
        with get (): float = PropertyBag.get this "ax"
        and set (value: float) = PropertyBag.set this "ax" value

    member this.ay
        with get (): float = PropertyBag.get this "ay"
        and set (value: float) = PropertyBag.set this "ay" value

    member this.align
        with get (): obj = PropertyBag.get this "align"
        and set (value: obj) = PropertyBag.set this "align" value

    member this.font
        with get (): Font = PropertyBag.get this "font"
        and set (value: Font) = PropertyBag.set this "font" value

    member this.xanchor
        with get (): obj = PropertyBag.get this "xanchor"
        and set (value: obj) = PropertyBag.set this "xanchor" value

    member this.yanchor
        with get (): obj = PropertyBag.get this "yanchor"
        and set (value: obj) = PropertyBag.set this "yanchor" value

[<AllowNullLiteral>]
type Shape() =

    member this.``type``
        with get (): obj = PropertyBag.get this "type"
        and set (value: obj) = PropertyBag.set this "type" value

    member this.x0
        with get (): obj = PropertyBag.get this "x0"
        and set (value: obj) = PropertyBag.set this "x0" value

    member this.x1
        with get (): obj = PropertyBag.get this "x1"
        and set (value: obj) = PropertyBag.set this "x1" value

    member this.y0
        with get (): obj = PropertyBag.get this "y0"
        and set (value: obj) = PropertyBag.set this "y0" value

    member this.y1
        with get (): obj = PropertyBag.get this "y1"
        and set (value: obj) = PropertyBag.set this "y1" value

    member this.xref
        with get (): obj = PropertyBag.get this "xref"
        and set (value: obj) = PropertyBag.set this "xref" value

    member this.yref
        with get (): obj = PropertyBag.get this "yref"
        and set (value: obj) = PropertyBag.set this "yref" value

    member this.line
        with get (): Line = PropertyBag.get this "line"
        and set (value: Line) = PropertyBag.set this "line" value

    member this.fillcolor
        with get (): string = PropertyBag.get this "fillcolor"
        and set (value: string) = PropertyBag.set this "fillcolor" value

    member this.opacity
        with get (): float = PropertyBag.get this "opacity"
        and set (value: float) = PropertyBag.set this "opacity" value
