using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public static partial class functional
        {
            // libtorch has the operator since 2.0.
            private static readonly bool FusedAttention = Op.Exists("aten::scaled_dot_product_attention"u8);

            public static Tensor scaled_dot_product_attention(
                Tensor query, Tensor key, Tensor value, Tensor? attn_mask = null, double p = 0, bool is_casual = false)
            {
                if (FusedAttention)
                {
                    return Op.Call("aten::scaled_dot_product_attention"u8, query, key, value, attn_mask, p, is_casual);
                }

                if (is_casual && attn_mask is not null)
                {
                    throw new ArgumentException("An attention mask cannot be given together with is_casual.");
                }

                using var scope = NewDisposeScope();
                var mask = is_casual
                    ? ones(query.size(-2), key.size(-2), ScalarType.Bool, query.device).tril()
                    : attn_mask;
                var scores = query.mul(1 / Math.Sqrt(query.size(-1))).matmul(key.transpose(-2, -1));
                if (mask is { dtype: ScalarType.Bool })
                {
                    using var hidden = mask.logical_not();
                    scores.masked_fill_(hidden, double.NegativeInfinity);
                }
                else if (mask is not null)
                {
                    scores = scores.add(mask);
                }

                var weights = scores.softmax(-1);
                return (p > 0 ? dropout(weights, p) : weights).matmul(value).MoveToOuterDisposeScope();
            }
        }
    }
}
