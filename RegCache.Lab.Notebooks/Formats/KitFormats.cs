using Microsoft.DotNet.Interactive.Formatting;
using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Notebooks.Pages;
using RegCache.Lab.Registers;
using SixLabors.ImageSharp;

namespace RegCache.Lab.Notebooks.Formats;

/// <summary>Registers how values of the kit, and of the libraries that it gives out, look in notebooks.</summary>
public static class KitFormats
{
    /// <summary>Registers all formats with the formatters of .NET Interactive.</summary>
    public static void Register()
    {
        DataFrameFormat.Register();
        PlotFormat.Register();
        Register<Image>("image/png", PictureFormat.WriteBase64, static image => $"picture of {image.Width}x{image.Height} pixels");
        RegisterHtml<Tensor>(TensorFormat.WriteHtml, TensorFormat.Text);
        RegisterHtml<VisionConfig>(ConfigFormat.WriteHtml, ConfigFormat.Text);
        RegisterHtml<PrefixCache>(PrefixFormat.WriteHtml, PrefixFormat.Text);
        RegisterHtml<EncoderPlan>(PlanFormat.WriteHtml, PlanFormat.Text);
        RegisterHtml<PlanTree>(PlanFormat.WriteHtml, PlanFormat.Text);
        RegisterHtml<PlanScore>(ScoreFormat.WriteHtml, ScoreFormat.Text);
        RegisterHtml<FinalScores>(ScoreFormat.WriteHtml, ScoreFormat.Text);
        RegisterHtml<RegCacheReport>(PipelineFormat.WriteHtml, PipelineFormat.Text);
        RegisterHtml<RegCacheResult>(PipelineFormat.WriteHtml, PipelineFormat.Text);
        RegisterHtml<SensitivityTable>(SensitivityFormat.WriteHtml, SensitivityFormat.Text);
        RegisterHtml<SearchGrid>(SearchFormat.WriteHtml, SearchFormat.Text);
        RegisterHtml<MacsTable>(MacsFormat.WriteHtml, MacsFormat.Text);
    }

    private static void RegisterHtml<T>(Action<T, HtmlText> write, Func<T, string> text) =>
        Register<T>(
            HtmlFormatter.MimeType,
            (value, writer) =>
            {
                using var html = new HtmlText(writer);
                write(value, html);
            },
            text);

    private static void Register<T>(string mimeType, Action<T, TextWriter> write, Func<T, string> text)
    {
        Formatter.SetPreferredMimeTypesFor(typeof(T), mimeType, PlainTextFormatter.MimeType);
        Formatter.Register(write, mimeType);
        Formatter.Register<T>((value, writer) => writer.Write(text(value)), PlainTextFormatter.MimeType);
    }
}

/// <summary>Pictures as PNG.</summary>
internal static class PictureFormat
{
    // Notebooks carry binary formats as base64.
    public static void WriteBase64(Image image, TextWriter writer)
    {
        using var png = new MemoryStream();
        image.SaveAsPng(png);
        writer.Write(Convert.ToBase64String(png.GetBuffer(), 0, (int)png.Length));
    }
}
