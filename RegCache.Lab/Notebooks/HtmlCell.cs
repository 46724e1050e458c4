using System.Globalization;

namespace RegCache.Lab.Notebooks;

/// <summary>A cell of an HTML table.</summary>
/// <param name="Text">What it says.</param>
/// <param name="IsText">Whether it is set to the left, as words are; numbers stand to the right.</param>
/// <param name="Share">How strongly it is shaded, 0 to 1; null for not at all.</param>
internal readonly record struct HtmlCell(string Text, bool IsText = false, double? Share = null)
{
    public static HtmlCell Words(string text) => new(text, IsText: true);

    public static HtmlCell Number(double value, string format = "0.00", double? share = null) =>
        new(value.ToString(format, CultureInfo.InvariantCulture), Share: share);

    public static HtmlCell Count(long value) => new(value.ToString("N0", CultureInfo.InvariantCulture));
}
