using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Html;

namespace Microsoft.DotNet.Interactive.Formatting;

public static class Html
{
    public static IHtmlContent HtmlEncode(this string content) => new HtmlString(HtmlEncoder.Default.Encode(content));

    public static IHtmlContent ToHtmlContent(this string value) => new HtmlString(value);
}
