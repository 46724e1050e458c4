using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public static partial class functional
        {
            public static Tensor linear(Tensor input, Tensor weights, Tensor? bias = null) => Op.Call("aten::linear"u8, input, weights, bias);

            public static Tensor conv1d(
                Tensor input, Tensor weight, Tensor? bias = null, long? stride = null, long? padding = null, long? dilation = null,
                long groups = 1) =>
                Op.Call("aten::conv1d"u8, input, weight, bias, Arg.Ints(stride ?? 1), Arg.Ints(padding ?? 0), Arg.Ints(dilation ?? 1), groups);

            public static Tensor conv2d(
                Tensor input, Tensor weight, Tensor? bias = null, long[]? strides = null, long[]? padding = null, long[]? dilation = null,
                long groups = 1) =>
                Op.Call("aten::conv2d"u8, input, weight, bias, strides ?? [1], padding ?? [0], dilation ?? [1], groups);

            public static Tensor conv_transpose2d(
                Tensor input, Tensor weight, Tensor? bias = null, long[]? strides = null, long[]? padding = null,
                long[]? output_padding = null, long[]? dilation = null, long groups = 1) =>
                Op.Call("aten::conv_transpose2d.input"u8, input, weight, bias, strides ?? [1], padding ?? [0], output_padding ?? [0], groups, dilation ?? [1]);

            public static Tensor layer_norm(Tensor input, long[] normalized_shape, Tensor? weight = null, Tensor? bias = null, double eps = 1E-05) =>
                Op.Call("aten::layer_norm"u8, input, normalized_shape, weight, bias, eps);

            public static Tensor group_norm(Tensor input, long num_groups, Tensor? weight = null, Tensor? bias = null, double eps = 1E-05) =>
                Op.Call("aten::group_norm"u8, input, num_groups, weight, bias, eps);

            public static Tensor normalize(Tensor input, double p = 2, long dim = 1, double eps = 1E-12)
            {
                using var norm = Op.Call("aten::linalg_vector_norm"u8, input, p, Arg.Ints(dim), true);
                using var divisor = norm.clamp_min(eps);
                return input.div(divisor);
            }

            public static Tensor one_hot(Tensor x, long num_classes = -1) => Op.Call("aten::one_hot"u8, x, num_classes);

            public static Tensor unfold(Tensor input, long kernel_size, long dilation = 1, long padding = 0, long stride = 1) =>
                Op.Call("aten::im2col"u8, input, Arg.Ints(kernel_size, kernel_size), Arg.Ints(dilation, dilation), Arg.Ints(padding, padding), Arg.Ints(stride, stride));

            public static Tensor unfold(
                Tensor input, (long, long) kernel_size, (long, long)? dilation = null, (long, long)? padding = null,
                (long, long)? stride = null) =>
                Op.Call("aten::im2col"u8, input, Arg.Ints(kernel_size.Item1, kernel_size.Item2), Arg.Ints(dilation?.Item1 ?? 1, dilation?.Item2 ?? 1), Arg.Ints(padding?.Item1 ?? 0, padding?.Item2 ?? 0), Arg.Ints(stride?.Item1 ?? 1, stride?.Item2 ?? 1));

            public static Tensor adaptive_avg_pool1d(Tensor input, long output_size) =>
                Op.Call("aten::adaptive_avg_pool1d"u8, input, Arg.Ints(output_size));

            public static Tensor adaptive_avg_pool2d(Tensor input, long output_size) =>
                Op.Call("aten::adaptive_avg_pool2d"u8, input, Arg.Ints(output_size, output_size));

            public static Tensor adaptive_avg_pool2d(Tensor input, long[] output_size) => Op.Call("aten::adaptive_avg_pool2d"u8, input, output_size);

            public static Tensor adaptive_avg_pool2d(Tensor input, (long, long) output_size) =>
                Op.Call("aten::adaptive_avg_pool2d"u8, input, Arg.Ints(output_size.Item1, output_size.Item2));

            public static Tensor avg_pool1d(
                Tensor input, long kernel_size, long? stride = null, long? padding = null, bool ceil_mode = false,
                bool count_include_pad = true) =>
                Op.Call("aten::avg_pool1d"u8, input, Arg.Ints(kernel_size), Arg.Ints(stride ?? kernel_size), Arg.Ints(padding ?? 0), ceil_mode, count_include_pad);

            public static Tensor avg_pool2d(
                Tensor input, long kernel_size, long? stride = null, long padding = 0, bool ceil_mode = false,
                bool count_include_pad = true, long? divisor_override = null) =>
                Op.Call("aten::avg_pool2d"u8, input, Arg.Ints(kernel_size), Arg.Ints(stride ?? kernel_size), Arg.Ints(padding), ceil_mode, count_include_pad, divisor_override);

            public static Tensor avg_pool2d(
                Tensor input, long[] kernel_size, long[]? stride = null, long[]? padding = null, bool ceil_mode = false,
                bool count_include_pad = true, long? divisor_override = null) =>
                Op.Call("aten::avg_pool2d"u8, input, kernel_size, stride ?? kernel_size, padding ?? [0], ceil_mode, count_include_pad, divisor_override);

            public static Tensor max_pool1d(
                Tensor input, long kernel_size, long? stride = null, long? padding = null, long? dilation = null, bool ceil_mode = false) =>
                Op.Call("aten::max_pool1d"u8, input, Arg.Ints(kernel_size), Arg.Ints(stride ?? kernel_size), Arg.Ints(padding ?? 0), Arg.Ints(dilation ?? 1), ceil_mode);

            public static Tensor max_pool2d(
                Tensor input, long kernel_size, long? stride = null, long? padding = null, long? dilation = null, bool ceil_mode = false) =>
                Op.Call("aten::max_pool2d"u8, input, Arg.Ints(kernel_size), Arg.Ints(stride ?? kernel_size), Arg.Ints(padding ?? 0), Arg.Ints(dilation ?? 1), ceil_mode);

            public static Tensor max_pool2d(
                Tensor input, long[] kernel_size, long[]? strides = null, long[]? padding = null, long[]? dilation = null,
                bool ceil_mode = false) =>
                Op.Call("aten::max_pool2d"u8, input, kernel_size, strides ?? kernel_size, padding ?? [0], dilation ?? [1], ceil_mode);

            public static Tensor pad(Tensor input, long[] pad, PaddingModes mode = PaddingModes.Constant, double value = 0) =>
                functional.pad(input, pad.AsSpan(), mode, value);

            public static Tensor pad(Tensor input, long pad, PaddingModes mode = PaddingModes.Constant, double value = 0) =>
                functional.pad(input, [pad], mode, value);

            public static Tensor pad(Tensor input, (long, long) pad, PaddingModes mode = PaddingModes.Constant, double value = 0) =>
                functional.pad(input, [pad.Item1, pad.Item2], mode, value);

            public static Tensor pad(Tensor input, (long, long, long, long) pad, PaddingModes mode = PaddingModes.Constant, double value = 0) =>
                functional.pad(input, [pad.Item1, pad.Item2, pad.Item3, pad.Item4], mode, value);

            public static Tensor pad(Tensor input, ReadOnlySpan<long> pad, PaddingModes mode = PaddingModes.Constant, double value = 0)
            {
                var name = mode switch
                {
                    PaddingModes.Reflect => "reflect",
                    PaddingModes.Replicate => "replicate",
                    PaddingModes.Circular => "circular",
                    _ => "constant",
                };
                return Op.Call("aten::pad"u8, input, pad, name, name == "constant" ? value : Arg.None);
            }
        }
    }
}
