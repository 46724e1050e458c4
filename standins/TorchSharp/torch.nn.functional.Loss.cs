using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public static partial class functional
        {
            public static Tensor binary_cross_entropy(Tensor input, Tensor target, Tensor? weight = null, Reduction reduction = Reduction.Mean) =>
                Op.Call("aten::binary_cross_entropy"u8, input, target, weight, (long)reduction);

            public static Tensor binary_cross_entropy_with_logits(
                Tensor input, Tensor target, Tensor? weight = null, Reduction reduction = Reduction.Mean, Tensor? pos_weights = null) =>
                Op.Call("aten::binary_cross_entropy_with_logits"u8, input, target, weight, pos_weights, (long)reduction);

            public static Tensor cosine_embedding_loss(
                Tensor input1, Tensor input2, Tensor target, double margin = 0, Reduction reduction = Reduction.Mean) =>
                Op.Call("aten::cosine_embedding_loss"u8, input1, input2, target, margin, (long)reduction);

            public static Tensor cosine_similarity(Tensor x1, Tensor x2, long dim = 1, double eps = 1E-08) =>
                Op.Call("aten::cosine_similarity"u8, x1, x2, dim, eps);

            public static Tensor cross_entropy(
                Tensor input, Tensor target, Tensor? weight = null, long ignore_index = -100, Reduction reduction = Reduction.Mean,
                double label_smoothing = 0) =>
                Op.Call("aten::cross_entropy_loss"u8, input, target, weight, (long)reduction, ignore_index, label_smoothing);

            public static Tensor huber_loss(Tensor input, Tensor target, double delta = 1, Reduction reduction = Reduction.Mean) =>
                Op.Call("aten::huber_loss"u8, input, target, (long)reduction, delta);

            public static Tensor kl_div(Tensor input, Tensor target, bool log_target = true, Reduction reduction = Reduction.Mean) =>
                Op.Call("aten::kl_div"u8, input, target, (long)reduction, log_target);

            public static Tensor l1_loss(Tensor input, Tensor target, Reduction reduction = Reduction.Mean) =>
                Op.Call("aten::l1_loss"u8, input, target, (long)reduction);

            public static Tensor mse_loss(Tensor input, Tensor target, Reduction reduction = Reduction.Mean) =>
                Op.Call("aten::mse_loss"u8, input, target, (long)reduction);

            public static Tensor nll_loss(Tensor input, Tensor target, Tensor? weight = null, Reduction reduction = Reduction.Mean) =>
                Op.Call("aten::nll_loss_nd"u8, input, target, weight, (long)reduction);

            public static Tensor smooth_l1_loss(Tensor input, Tensor target, Reduction reduction = Reduction.Mean, double beta = 1) =>
                Op.Call("aten::smooth_l1_loss"u8, input, target, (long)reduction, beta);

            public static Tensor triplet_margin_loss(
                Tensor anchor, Tensor positive, Tensor negative, double margin = 1, long p = 2, double eps = 1E-06, bool swap = false,
                Reduction reduction = Reduction.Mean) =>
                Op.Call("aten::triplet_margin_loss"u8, anchor, positive, negative, margin, (double)p, eps, swap, (long)reduction);
        }
    }
}
