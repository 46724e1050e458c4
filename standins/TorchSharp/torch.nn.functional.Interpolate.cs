using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public static partial class functional
        {
            public static Tensor interpolate(
                Tensor x, long[]? size = null, double[]? scale_factor = null, InterpolationMode mode = InterpolationMode.Nearest,
                bool? align_corners = null, bool recompute_scale_factor = false, bool antialias = false)
            {
                var dimensions = x.ndim - 2;
                if ((size is null) == (scale_factor is null))
                {
                    throw new ArgumentException("Either the size or the scale factor must be given, and not both.");
                }

                if (align_corners is not null && mode is InterpolationMode.Nearest or InterpolationMode.Area)
                {
                    throw new ArgumentException($"align_corners has no meaning for the mode {mode}.");
                }

                if (antialias && !(dimensions == 2 && mode is InterpolationMode.Bilinear or InterpolationMode.Bicubic))
                {
                    throw new ArgumentException("Only bilinear and bicubic interpolation of pictures can be antialiased.");
                }

                // One number stands for every dimension.
                var scales = scale_factor is [var scale] ? Enumerable.Repeat(scale, (int)dimensions).ToArray() : scale_factor;
                var sizes = size is [var side] ? Enumerable.Repeat(side, (int)dimensions).ToArray() : size;
                if (scales is not null && (recompute_scale_factor || mode == InterpolationMode.Area))
                {
                    var shape = x.shape;
                    sizes = scales.Select((factor, i) => (long)Math.Floor(shape[i + 2] * factor)).ToArray();
                    scales = null;
                }

                var corners = align_corners ?? false;
                return (mode, dimensions, antialias) switch
                {
                    (InterpolationMode.Nearest, 1, _) => Op.Call("aten::upsample_nearest1d.vec"u8, x, sizes, scales),
                    (InterpolationMode.Nearest, 2, _) => Op.Call("aten::upsample_nearest2d.vec"u8, x, sizes, scales),
                    (InterpolationMode.Nearest, 3, _) => Op.Call("aten::upsample_nearest3d.vec"u8, x, sizes, scales),
                    (InterpolationMode.Linear, 1, _) => Op.Call("aten::upsample_linear1d.vec"u8, x, sizes, corners, scales),
                    (InterpolationMode.Bilinear, 2, false) => Op.Call("aten::upsample_bilinear2d.vec"u8, x, sizes, corners, scales),
                    (InterpolationMode.Bilinear, 2, true) => Op.Call("aten::_upsample_bilinear2d_aa.vec"u8, x, sizes, corners, scales),
                    (InterpolationMode.Bicubic, 2, false) => Op.Call("aten::upsample_bicubic2d.vec"u8, x, sizes, corners, scales),
                    (InterpolationMode.Bicubic, 2, true) => Op.Call("aten::_upsample_bicubic2d_aa.vec"u8, x, sizes, corners, scales),
                    (InterpolationMode.Trilinear, 3, _) => Op.Call("aten::upsample_trilinear3d.vec"u8, x, sizes, corners, scales),
                    (InterpolationMode.Area, 1, _) => Op.Call("aten::adaptive_avg_pool1d"u8, x, sizes),
                    (InterpolationMode.Area, 2, _) => Op.Call("aten::adaptive_avg_pool2d"u8, x, sizes),
                    (InterpolationMode.Area, 3, _) => Op.Call("aten::adaptive_avg_pool3d"u8, x, sizes),
                    _ => throw new ArgumentException($"The mode {mode} does not fit a tensor of {x.ndim} dimensions."),
                };
            }
        }
    }
}
