using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public Tensor abs() => Op.Call("aten::abs"u8, this);

        public Tensor absolute() => abs();

        public Tensor acos() => Op.Call("aten::acos"u8, this);

        public Tensor asin() => Op.Call("aten::asin"u8, this);

        public Tensor atan() => Op.Call("aten::atan"u8, this);

        public Tensor bitwise_not() => Op.Call("aten::bitwise_not"u8, this);

        public Tensor ceil() => Op.Call("aten::ceil"u8, this);

        public Tensor clamp(Scalar? min = null, Scalar? max = null) => Op.Call("aten::clamp"u8, this, min, max);

        public Tensor clamp(Tensor? min = null, Tensor? max = null) => Op.Call("aten::clamp.Tensor"u8, this, min, max);

        public Tensor clamp_max(Scalar max) => Op.Call("aten::clamp_max"u8, this, max);

        public Tensor clamp_min(Scalar min) => Op.Call("aten::clamp_min"u8, this, min);

        public Tensor clip(Scalar? min = null, Scalar? max = null) => clamp(min, max);

        public Tensor cos() => Op.Call("aten::cos"u8, this);

        public Tensor cosh() => Op.Call("aten::cosh"u8, this);

        public Tensor digamma() => Op.Call("aten::digamma"u8, this);

        public Tensor elu(double alpha = 1) => Op.Call("aten::elu"u8, this, alpha);

        public Tensor erf() => Op.Call("aten::erf"u8, this);

        public Tensor erfc() => Op.Call("aten::erfc"u8, this);

        public Tensor erfinv() => Op.Call("aten::erfinv"u8, this);

        public Tensor exp() => Op.Call("aten::exp"u8, this);

        public Tensor exp2() => Op.Call("aten::exp2"u8, this);

        public Tensor expm1() => Op.Call("aten::expm1"u8, this);

        public Tensor floor() => Op.Call("aten::floor"u8, this);

        public Tensor frac() => Op.Call("aten::frac"u8, this);

        public Tensor gelu() => Op.Call("aten::gelu"u8, this);

        public Tensor hardsigmoid() => Op.Call("aten::hardsigmoid"u8, this);

        public Tensor hardswish() => Op.Call("aten::hardswish"u8, this);

        public Tensor hardtanh(Scalar min, Scalar max) => Op.Call("aten::hardtanh"u8, this, min, max);

        public Tensor isfinite() => Op.Call("aten::isfinite"u8, this);

        public Tensor isinf() => Op.Call("aten::isinf"u8, this);

        public Tensor isnan() => Op.Call("aten::isnan"u8, this);

        public Tensor isneginf() => Op.Call("aten::isneginf"u8, this);

        public Tensor isposinf() => Op.Call("aten::isposinf"u8, this);

        public Tensor leaky_relu(Scalar negative_slope) => Op.Call("aten::leaky_relu"u8, this, negative_slope);

        public Tensor lgamma() => Op.Call("aten::lgamma"u8, this);

        public Tensor log() => Op.Call("aten::log"u8, this);

        public Tensor log10() => Op.Call("aten::log10"u8, this);

        public Tensor log1p() => Op.Call("aten::log1p"u8, this);

        public Tensor log2() => Op.Call("aten::log2"u8, this);

        public Tensor log_sigmoid() => Op.Call("aten::log_sigmoid"u8, this);

        public Tensor log_softmax(long dim, ScalarType? dtype = null) => Op.Call("aten::log_softmax.int"u8, this, dim, dtype);

        public Tensor logical_not() => Op.Call("aten::logical_not"u8, this);

        public Tensor logit(double? eps = null) => Op.Call("aten::logit"u8, this, eps);

        public Tensor nan_to_num(double nan = 0, double? posinf = null, double? neginf = null) =>
            Op.Call("aten::nan_to_num"u8, this, nan, posinf, neginf);

        public Tensor neg() => Op.Call("aten::neg"u8, this);

        public Tensor negative() => neg();

        public Tensor positive() => alias();

        public Tensor pow(Tensor exponent) => Op.Call("aten::pow.Tensor_Tensor"u8, this, exponent);

        public Tensor pow(Scalar exponent) => Op.Call("aten::pow.Tensor_Scalar"u8, this, exponent);

        public Tensor reciprocal() => Op.Call("aten::reciprocal"u8, this);

        public Tensor relu() => Op.Call("aten::relu"u8, this);

        public Tensor relu6() => Op.Call("aten::relu6"u8, this);

        public Tensor round(long decimals = 0) => decimals == 0 ? Op.Call("aten::round"u8, this) : Op.Call("aten::round.decimals"u8, this, decimals);

        public Tensor rsqrt() => Op.Call("aten::rsqrt"u8, this);

        public Tensor selu() => Op.Call("aten::selu"u8, this);

        public Tensor sigmoid() => Op.Call("aten::sigmoid"u8, this);

        public Tensor sign() => Op.Call("aten::sign"u8, this);

        public Tensor signbit() => Op.Call("aten::signbit"u8, this);

        public Tensor silu() => Op.Call("aten::silu"u8, this);

        public Tensor sin() => Op.Call("aten::sin"u8, this);

        public Tensor sinh() => Op.Call("aten::sinh"u8, this);

        public Tensor softmax(long dim, ScalarType? dtype = null) => Op.Call("aten::softmax.int"u8, this, dim, dtype);

        public Tensor softplus(double beta = 1, double threshold = 20) => Op.Call("aten::softplus"u8, this, beta, threshold);

        public Tensor sqrt() => Op.Call("aten::sqrt"u8, this);

        public Tensor square() => Op.Call("aten::square"u8, this);

        public Tensor tan() => Op.Call("aten::tan"u8, this);

        public Tensor tanh() => Op.Call("aten::tanh"u8, this);

        public Tensor trunc() => Op.Call("aten::trunc"u8, this);
    }
}
