namespace RegCache.Lab.Reports.Html;

/// <summary>The look of the pages that the kit writes.</summary>
public static class PageStyle
{
    /// <summary>The style sheet.</summary>
    public const string Css = """
        :root { --ink: #1c2733; --soft: #5d6b7a; --line: #dfe5eb; --paper: #ffffff; --code: #f6f8fa; --accent: #2463a5; }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.6 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
        main { max-width: 1000px; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
        h1, h2, h3 { line-height: 1.25; margin: 1.6em 0 .5em; }
        h1 { font-size: 2rem; margin-top: 0; }
        a { color: var(--accent); }
        .cell { margin: 1rem 0 1.5rem; }
        .input { position: relative; }
        .number { position: absolute; right: 100%; margin-right: .5rem; top: .7rem; color: var(--soft); font: 12px/1.6 ui-monospace, "DejaVu Sans Mono", monospace; white-space: nowrap; }
        pre { margin: 0; font: 13.5px/1.5 ui-monospace, "DejaVu Sans Mono", monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
        pre.code { background: var(--code); border: 1px solid var(--line); border-radius: 6px; padding: .7rem .9rem; }
        .markdown pre { background: var(--code); border-radius: 6px; padding: .7rem .9rem; }
        .output { margin: .6rem 0 0; padding-left: .9rem; overflow-x: auto; }
        .output img { max-width: 100%; }
        .stderr { background: #fdf3e7; padding: .4rem .6rem; }
        .error { background: #fdecec; color: #8c1d18; padding: .6rem .8rem; border-radius: 6px; }
        table { border-collapse: collapse; font-size: 14px; margin: .3rem 0; font-variant-numeric: tabular-nums; }
        th { text-align: left; border-bottom: 2px solid var(--line); padding: .3rem .7rem; }
        td { border-bottom: 1px solid var(--line); padding: .25rem .7rem; }
        summary { cursor: pointer; color: var(--soft); }
        .k { color: #8a2aa3; } .s { color: #1a7036; } .c { color: #6b7885; font-style: italic; } .n { color: #a04b00; } .t { color: #1f6f8b; }
        """;
}
