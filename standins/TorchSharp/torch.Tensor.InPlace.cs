using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public Tensor abs_() => Op.InPlace("aten::abs_"u8, this);

        public Tensor absolute_() => abs_();

        public Tensor add_(Tensor target) => Op.InPlace("aten::add_.Tensor"u8, this, target);

        public Tensor add_(Tensor target, Scalar alpha) => Op.InPlace("aten::add_.Tensor"u8, this, target, alpha);

        public Tensor add_(Scalar scalar) => Op.InPlace("aten::add_.Scalar"u8, this, scalar);

        public Tensor add_(Scalar scalar, Scalar alpha) => Op.InPlace("aten::add_.Scalar"u8, this, scalar, alpha);

        public Tensor addbmm_(Tensor batch1, Tensor batch2, float beta = 1f, float alpha = 1f) =>
            Op.InPlace("aten::addbmm_"u8, this, batch1, batch2, (double)beta, (double)alpha);

        public Tensor addcdiv_(Tensor tensor1, Tensor tensor2, Scalar value) => Op.InPlace("aten::addcdiv_"u8, this, tensor1, tensor2, value);

        public Tensor addcdiv_(Tensor tensor1, Tensor tensor2) => Op.InPlace("aten::addcdiv_"u8, this, tensor1, tensor2);

        public Tensor addcmul_(Tensor tensor1, Tensor tensor2, Scalar value) => Op.InPlace("aten::addcmul_"u8, this, tensor1, tensor2, value);

        public Tensor addmm_(Tensor mat1, Tensor mat2, float beta = 1f, float alpha = 1f) =>
            Op.InPlace("aten::addmm_"u8, this, mat1, mat2, (double)beta, (double)alpha);

        public Tensor bitwise_and_(Tensor other) => Op.InPlace("aten::bitwise_and_.Tensor"u8, this, other);

        public Tensor bitwise_not_() => Op.InPlace("aten::bitwise_not_"u8, this);

        public Tensor bitwise_or_(Tensor other) => Op.InPlace("aten::bitwise_or_.Tensor"u8, this, other);

        public Tensor bitwise_xor_(Tensor other) => Op.InPlace("aten::bitwise_xor_.Tensor"u8, this, other);

        public Tensor ceil_() => Op.InPlace("aten::ceil_"u8, this);

        public Tensor clamp_(Scalar? min = null, Scalar? max = null) => Op.InPlace("aten::clamp_"u8, this, min, max);

        public Tensor clamp_(Tensor? min = null, Tensor? max = null) => Op.InPlace("aten::clamp_.Tensor"u8, this, min, max);

        public Tensor clamp_max_(Scalar max) => Op.InPlace("aten::clamp_max_"u8, this, max);

        public Tensor clamp_min_(Scalar min) => Op.InPlace("aten::clamp_min_"u8, this, min);

        public Tensor copy_(Tensor source, bool nonBlocking = false) => Op.InPlace("aten::copy_"u8, this, source, nonBlocking);

        public Tensor cos_() => Op.InPlace("aten::cos_"u8, this);

        public Tensor detach_() => Op.InPlace("aten::detach_"u8, this);

        public Tensor div_(Tensor target, RoundingMode rounding_mode = RoundingMode.None) =>
            rounding_mode == RoundingMode.None ? Op.InPlace("aten::div_.Tensor"u8, this, target) : Op.InPlace("aten::div_.Tensor_mode"u8, this, target, rounding_mode.ToString());

        public Tensor div_(Scalar target, RoundingMode rounding_mode = RoundingMode.None) =>
            rounding_mode == RoundingMode.None ? Op.InPlace("aten::div_.Scalar"u8, this, target) : Op.InPlace("aten::div_.Scalar_mode"u8, this, target, rounding_mode.ToString());

        public Tensor divide_(Tensor target, RoundingMode rounding_mode = RoundingMode.None) => div_(target, rounding_mode);

        public Tensor divide_(Scalar target, RoundingMode rounding_mode = RoundingMode.None) => div_(target, rounding_mode);

        public Tensor erf_() => Op.InPlace("aten::erf_"u8, this);

        public Tensor erfinv_() => Op.InPlace("aten::erfinv_"u8, this);

        public Tensor exp_() => Op.InPlace("aten::exp_"u8, this);

        public Tensor expm1_() => Op.InPlace("aten::expm1_"u8, this);

        public Tensor fill_(Scalar value) => Op.InPlace("aten::fill_.Scalar"u8, this, value);

        public Tensor floor_() => Op.InPlace("aten::floor_"u8, this);

        public Tensor frac_() => Op.InPlace("aten::frac_"u8, this);

        public Tensor gelu_() => Op.InPlace("aten::gelu_"u8, this);

        public Tensor hardsigmoid_() => Op.InPlace("aten::hardsigmoid_"u8, this);

        public Tensor hardswish_() => Op.InPlace("aten::hardswish_"u8, this);

        public Tensor leaky_relu_(Scalar negative_slope) => Op.InPlace("aten::leaky_relu_"u8, this, negative_slope);

        public Tensor lerp_(Tensor end, Tensor weight) => Op.InPlace("aten::lerp_.Tensor"u8, this, end, weight);

        public Tensor log10_() => Op.InPlace("aten::log10_"u8, this);

        public Tensor log1p_() => Op.InPlace("aten::log1p_"u8, this);

        public Tensor log2_() => Op.InPlace("aten::log2_"u8, this);

        public Tensor log_() => Op.InPlace("aten::log_"u8, this);

        public Tensor logical_and_(Tensor other) => Op.InPlace("aten::logical_and_"u8, this, other);

        public Tensor logical_not_() => Op.InPlace("aten::logical_not_"u8, this);

        public Tensor logical_or_(Tensor other) => Op.InPlace("aten::logical_or_"u8, this, other);

        public Tensor logical_xor_(Tensor other) => Op.InPlace("aten::logical_xor_"u8, this, other);

        public Tensor mul_(Tensor target) => Op.InPlace("aten::mul_.Tensor"u8, this, target);

        public Tensor mul_(Scalar target) => Op.InPlace("aten::mul_.Scalar"u8, this, target);

        public Tensor neg_() => Op.InPlace("aten::neg_"u8, this);

        public Tensor pow_(Tensor exponent) => Op.InPlace("aten::pow_.Tensor"u8, this, exponent);

        public Tensor pow_(Scalar exponent) => Op.InPlace("aten::pow_.Scalar"u8, this, exponent);

        public Tensor reciprocal_() => Op.InPlace("aten::reciprocal_"u8, this);

        public Tensor relu_() => Op.InPlace("aten::relu_"u8, this);

        public Tensor remainder_(Tensor target) => Op.InPlace("aten::remainder_.Tensor"u8, this, target);

        public Tensor remainder_(Scalar scalar) => Op.InPlace("aten::remainder_.Scalar"u8, this, scalar);

        public Tensor round_(long decimals = 0) =>
            decimals == 0 ? Op.InPlace("aten::round_"u8, this) : Op.InPlace("aten::round_.decimals"u8, this, decimals);

        public Tensor rsqrt_() => Op.InPlace("aten::rsqrt_"u8, this);

        public Tensor sigmoid_() => Op.InPlace("aten::sigmoid_"u8, this);

        public Tensor sign_() => Op.InPlace("aten::sign_"u8, this);

        public Tensor silu_() => Op.InPlace("aten::silu_"u8, this);

        public Tensor sin_() => Op.InPlace("aten::sin_"u8, this);

        public Tensor sqrt_() => Op.InPlace("aten::sqrt_"u8, this);

        public Tensor sub_(Tensor target) => Op.InPlace("aten::sub_.Tensor"u8, this, target);

        public Tensor sub_(Scalar target) => Op.InPlace("aten::sub_.Scalar"u8, this, target);

        public Tensor subtract_(Tensor target) => sub_(target);

        public Tensor subtract_(Scalar target) => sub_(target);

        public Tensor tanh_() => Op.InPlace("aten::tanh_"u8, this);

        public Tensor tril_(long diagonal = 0) => Op.InPlace("aten::tril_"u8, this, diagonal);

        public Tensor triu_(long diagonal = 0) => Op.InPlace("aten::triu_"u8, this, diagonal);

        public Tensor trunc_() => Op.InPlace("aten::trunc_"u8, this);

        public Tensor zero_() => Op.InPlace("aten::zero_"u8, this);
    }
}
