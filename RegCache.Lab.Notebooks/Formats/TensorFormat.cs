using System.Globalization;

namespace RegCache.Lab.Notebooks.Formats;

/// <summary>Tensors: shape, type, range, and the values of small ones.</summary>
internal static class TensorFormat
{
    private const int MostRows = 12;
    private const int MostColumns = 12;
    private const int MostInText = 8;

    public static void WriteHtml(Tensor tensor, HtmlText html)
    {
        if (tensor.IsInvalid)
        {
            html.Paragraph("Tensor, disposed");
            return;
        }

        using var scope = torch.NewDisposeScope();
        if (tensor.dim() == 0)
        {
            html.Paragraph(Text(tensor));
            return;
        }

        html.Paragraph($"{Kind(tensor)}{Range(tensor)}");
        if (tensor.numel() == 0 || tensor.is_complex())
        {
            return;
        }

        var rows = (tensor.dim() == 1 ? tensor.unsqueeze(0) : tensor.flatten(0, -2)).detach();
        var (shownRows, shownColumns) = (Math.Min(MostRows, rows.shape[0]), Math.Min(MostColumns, rows.shape[1]));
        if (tensor.dim() > 2 && (shownRows, shownColumns) != (rows.shape[0], rows.shape[1]))
        {
            return;
        }

        var values = Doubles(rows.narrow(0, 0, shownRows).narrow(1, 0, shownColumns));
        var largest = values.Where(double.IsFinite).Select(Math.Abs).DefaultIfEmpty().Max();
        html.Table(
            string.Empty,
            [],
            values.Chunk((int)shownColumns).Select(row => row.Select(value => new HtmlCell(
                Text(value), Share: largest > 0 && double.IsFinite(value) ? Math.Abs(value) / largest : null)).ToArray()));
        if (shownRows < rows.shape[0] || shownColumns < rows.shape[1])
        {
            html.Paragraph($"the first {shownRows} x {shownColumns} of {rows.shape[0]} x {rows.shape[1]} values", soft: true);
        }
    }

    public static string Text(Tensor tensor)
    {
        if (tensor.IsInvalid)
        {
            return "Tensor, disposed";
        }

        using var scope = torch.NewDisposeScope();
        var text = $"{Kind(tensor)}{Range(tensor)}";
        if (tensor.numel() == 0 || tensor.is_complex())
        {
            return text;
        }

        var first = Doubles(tensor.detach().flatten().narrow(0, 0, Math.Min(MostInText, tensor.numel())));
        return $"{text}: {string.Join(", ", first.Select(Text))}{(tensor.numel() > MostInText ? ", ..." : string.Empty)}";
    }

    private static string Kind(Tensor tensor) =>
        $"Tensor [{string.Join(", ", tensor.shape)}] {tensor.dtype} on {tensor.device}";

    private static string Range(Tensor tensor)
    {
        if (tensor.numel() < 2 || tensor.is_complex())
        {
            return string.Empty;
        }

        var values = tensor.detach().to(torch.ScalarType.Float32);
        var isFinite = values.isfinite();
        var bad = values.numel() - isFinite.sum().ToInt64();
        var good = bad == 0 ? values : values.masked_select(isFinite);
        var range = good.numel() == 0
            ? string.Empty
            : $", min {Text(good.min().ToDouble())}, mean {Text(good.mean().ToDouble())}, max {Text(good.max().ToDouble())}";
        return bad == 0 ? range : $"{range}, {bad} not finite";
    }

    private static double[] Doubles(Tensor tensor) => tensor.cpu().to(torch.ScalarType.Float64).contiguous().data<double>().ToArray();

    private static string Text(double value) => value.ToString("G4", CultureInfo.InvariantCulture);
}
