using System.Globalization;
using System.Text;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public override string ToString() =>
            IsInvalid ? "(disposed)" : $"[{string.Join('x', shape)}], type = {dtype}, device = {device}";

        public string ToString(
            TensorStringStyle style, string? fltFormat = null, int? width = null, CultureInfo? cultureInfo = null, string? newLine = null)
        {
            if (style == TensorStringStyle.Metadata || IsInvalid)
            {
                return ToString();
            }

            using var scope = NewDisposeScope();
            var numbers = detach().cpu().to(is_floating_point() ? ScalarType.Float64 : ScalarType.Int64).contiguous();
            var text = new StringBuilder($"{this}, value =");
            text.Append(newLine ?? Environment.NewLine);
            Append(text, numbers, fltFormat ?? "g5", cultureInfo ?? CultureInfo.CurrentCulture, newLine ?? Environment.NewLine, 0);
            return text.ToString();
        }

        /// <summary>Long dimensions are shown by their first and last three entries.</summary>
        private static void Append(StringBuilder text, Tensor part, string format, CultureInfo culture, string newLine, int depth)
        {
            const int Shown = 3;
            if (part.ndim == 0)
            {
                text.Append(part.is_floating_point() ? part.item<double>().ToString(format, culture) : part.item<long>().ToString(culture));
                return;
            }

            var size = part.size(0);
            text.Append('[');
            for (long i = 0; i < size; i++)
            {
                if (i > 0)
                {
                    text.Append(part.ndim == 1 ? ", " : "," + newLine + new string(' ', depth + 1));
                }

                if (size > 2 * Shown && i == Shown)
                {
                    text.Append("...");
                    i = size - Shown - 1;
                    continue;
                }

                using var entry = part[i];
                Append(text, entry, format, culture, newLine, depth + 1);
            }

            text.Append(']');
        }
    }
}
