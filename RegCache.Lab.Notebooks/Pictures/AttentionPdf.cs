using System.Globalization;
using System.Text;
using PdfSharp.Pdf;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Placement;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Notebooks.Pictures;

/// <summary>
/// Attention maps of special tokens as a PDF: a page a token, with the image, a panel a head and the mean over heads. Panels are compressed
/// pixels; titles are text in Helvetica, one of the fonts that every reader of PDF has (ISO 32000-1, section 9.6.2.2), so none is embedded.
/// </summary>
public sealed class AttentionPdf
{
    private const double Margin = 24, Panel = 168, Gap = 14, Title = 24, TitleSize = 8.5, TitleLead = 10.5;

    // Half of a line of capitals fits; Helvetica's characters are on average narrower.
    private const int TitleLength = 38;

    private readonly PlacementConfig _config;
    private readonly int _layer;

    /// <summary>Prepares a document.</summary>
    /// <param name="config">The classifier's shapes and places.</param>
    /// <param name="layer">The layer whose attention is shown.</param>
    public AttentionPdf(PlacementConfig config, int layer) => (_config, _layer) = (config, layer);

    /// <summary>The usual name of the file.</summary>
    /// <param name="image">The image's index in its set, or its name.</param>
    public string FileName(string image) => FormattableString.Invariant(
        $"attention_maps_layer_{_layer}_of_image_{image}_cls_{_config.ClassBlock}_reg_{_config.RegisterBlock}.pdf");

    /// <summary>Writes the document.</summary>
    /// <param name="path">The file; missing folders are created.</param>
    /// <param name="image">The normalised image [1,3,H,W].</param>
    /// <param name="preprocess">How it was normalised.</param>
    /// <param name="name">The class of the image, or what else it is called.</param>
    /// <param name="tokens">The maps, a page each.</param>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public void Write(string path, Tensor image, PreprocessOptions preprocess, string name, IReadOnlyList<TokenMaps> tokens)
    {
        using var document = new PdfDocument();
        document.Info.Title = $"Attention of {tokens.Count} tokens in layer {_layer}";
        var font = Font(document);
        var picture = Picture(document, InputPixels.Of(image, preprocess)[0]);
        foreach (var token in tokens)
        {
            (PdfDictionary Picture, string[] Title)[] panels =
            [
                (picture, [name, $"layer {_layer}, {(token.Role == TokenRole.Class ? "class token" : "registers")} from block {token.EntryBlock} on"]),
                .. token.Heads.Select((map, head) => (Picture(document, Pixels(map)), new[] { $"{token.Name}, head {head + 1}" })),
                (Picture(document, Pixels(token.Mean)), [$"{token.Name}, mean of the heads"]),
            ];
            AddPage(document, font, panels);
        }

        AtomicFile.Write(path, stream => document.Save(stream, closeStream: false));
    }

    /// <summary>A map in the colours of viridis, each patch enlarged to its pixels; a constant one has the lowest colour.</summary>
    /// <param name="map">One value a patch, row-major.</param>
    /// <returns>Pixels [H,W,3].</returns>
    public byte[] Pixels(IReadOnlyList<float> map)
    {
        var ((height, width), (patchHeight, patchWidth), columns) = (_config.ImageSize, _config.PatchSize, _config.Grid.Width);
        var (low, high) = (map.Min(), map.Max());
        var pixels = new byte[height * width * 3];
        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++)
            {
                var value = map[(y / patchHeight * columns) + (x / patchWidth)];
                var (red, green, blue) = Viridis.Of(high > low ? (value - low) / (high - low) : 0);
                var pixel = ((y * width) + x) * 3;
                (pixels[pixel], pixels[pixel + 1], pixels[pixel + 2]) = (red, green, blue);
            }
        }

        return pixels;
    }

    private void AddPage(PdfDocument document, PdfDictionary font, (PdfDictionary Picture, string[] Title)[] panels)
    {
        var rows = (int)Math.Ceiling(Math.Sqrt(panels.Length));
        var columns = (int)Math.Ceiling(panels.Length / (double)rows);
        var panelHeight = Panel * _config.ImageSize.Height / _config.ImageSize.Width;
        var page = document.AddPage();
        (page.Width, page.Height) = (
            PdfSharp.Drawing.XUnit.FromPoint((2 * Margin) + (columns * (Panel + Gap)) - Gap),
            PdfSharp.Drawing.XUnit.FromPoint((2 * Margin) + (rows * (panelHeight + Title + Gap)) - Gap));
        var fonts = new PdfDictionary(document);
        fonts.Elements["/F"] = font.Reference;
        page.Resources.Elements["/Font"] = fonts;
        var pictures = new PdfDictionary(document);
        page.Resources.Elements["/XObject"] = pictures;
        var content = new StringBuilder();
        foreach (var (index, panel) in panels.Index())
        {
            var (row, column) = Math.DivRem(index, columns);
            var left = Margin + (column * (Panel + Gap));
            var top = page.Height.Point - Margin - (row * (panelHeight + Title + Gap));
            pictures.Elements[$"/I{index}"] = panel.Picture.Reference;
            content.Append(CultureInfo.InvariantCulture, $"q {Panel:0.##} 0 0 {panelHeight:0.##} {left:0.##} {top - Title - panelHeight:0.##} cm /I{index} Do Q\n");
            foreach (var (line, text) in panel.Title.Index())
            {
                var baseline = top - Title + 4 + ((panel.Title.Length - 1 - line) * TitleLead);
                content.Append(CultureInfo.InvariantCulture, $"BT /F {TitleSize:0.##} Tf {left:0.##} {baseline:0.##} Td {Literal(text)} Tj ET\n");
            }
        }

        page.Contents.AppendContent().CreateStream(Encoding.ASCII.GetBytes(content.ToString())).Zip();
    }

    // Compressed rows of red, green and blue bytes.
    private PdfDictionary Picture(PdfDocument document, byte[] pixels)
    {
        var picture = new PdfDictionary(document);
        picture.Elements.SetName("/Type", "/XObject");
        picture.Elements.SetName("/Subtype", "/Image");
        picture.Elements.SetInteger("/Width", _config.ImageSize.Width);
        picture.Elements.SetInteger("/Height", _config.ImageSize.Height);
        picture.Elements.SetName("/ColorSpace", "/DeviceRGB");
        picture.Elements.SetInteger("/BitsPerComponent", 8);
        picture.CreateStream(pixels).Zip();
        document.Internals.AddObject(picture);
        return picture;
    }

    private static PdfDictionary Font(PdfDocument document)
    {
        var font = new PdfDictionary(document);
        font.Elements.SetName("/Type", "/Font");
        font.Elements.SetName("/Subtype", "/Type1");
        font.Elements.SetName("/BaseFont", "/Helvetica");
        font.Elements.SetName("/Encoding", "/WinAnsiEncoding");
        document.Internals.AddObject(font);
        return font;
    }

    // Characters that the font's encoding shares with Latin-1; others become question marks.
    private static string Literal(string text)
    {
        var shown = text.Length > TitleLength ? text[..(TitleLength - 3)] + "..." : text;
        var bytes = Encoding.Latin1.GetBytes(shown).Select(value => value is < 32 or (>= 127 and < 160) ? (byte)'?' : value);
        return $"<{Convert.ToHexString([.. bytes])}>";
    }
}

/// <summary>The colour map viridis (Smith and van der Walt 2015, CC0) between ten of its colours.</summary>
public static class Viridis
{
    private static readonly (int Red, int Green, int Blue)[] _stops =
    [
        (68, 1, 84), (72, 40, 120), (62, 73, 137), (49, 104, 142), (38, 130, 142), (31, 158, 137), (53, 183, 121), (110, 206, 88), (181, 222, 43), (253, 231, 37),
    ];

    /// <summary>The colour of a share from 0 to 1.</summary>
    public static (byte Red, byte Green, byte Blue) Of(double share)
    {
        var place = Math.Clamp(share, 0, 1) * (_stops.Length - 1);
        var first = Math.Min((int)place, _stops.Length - 2);
        var (from, to, part) = (_stops[first], _stops[first + 1], place - first);
        byte Mix(int low, int high) => (byte)Math.Round(low + ((high - low) * part));
        return (Mix(from.Red, to.Red), Mix(from.Green, to.Green), Mix(from.Blue, to.Blue));
    }
}
