using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public Tensor add(Tensor target) => Op.Call("aten::add.Tensor"u8, this, target);

        public Tensor add(Tensor target, Scalar alpha) => Op.Call("aten::add.Tensor"u8, this, target, alpha);

        public Tensor add(Scalar scalar) => Op.Call("aten::add.Scalar"u8, this, scalar);

        public Tensor add(Scalar scalar, Scalar alpha) => Op.Call("aten::add.Scalar"u8, this, scalar, alpha);

        public Tensor addcdiv(Tensor tensor1, Tensor tensor2, Scalar value) => Op.Call("aten::addcdiv"u8, this, tensor1, tensor2, value);

        public Tensor addcdiv(Tensor tensor1, Tensor tensor2) => Op.Call("aten::addcdiv"u8, this, tensor1, tensor2);

        public Tensor addcmul(Tensor tensor1, Tensor tensor2, Scalar value) => Op.Call("aten::addcmul"u8, this, tensor1, tensor2, value);

        public bool allclose(Tensor target, double rtol = 1E-05, double atol = 1E-08, bool equal_nan = false) =>
            Op.CallBool("aten::allclose"u8, this, target, rtol, atol, equal_nan);

        public Tensor atan2(Tensor other) => Op.Call("aten::atan2"u8, this, other);

        public Tensor bitwise_and(Tensor other) => Op.Call("aten::bitwise_and.Tensor"u8, this, other);

        public Tensor bitwise_left_shift(Tensor other) => Op.Call("aten::bitwise_left_shift.Tensor"u8, this, other);

        public Tensor bitwise_or(Tensor other) => Op.Call("aten::bitwise_or.Tensor"u8, this, other);

        public Tensor bitwise_right_shift(Tensor other) => Op.Call("aten::bitwise_right_shift.Tensor"u8, this, other);

        public Tensor bitwise_xor(Tensor other) => Op.Call("aten::bitwise_xor.Tensor"u8, this, other);

        public Tensor copysign(Tensor other) => Op.Call("aten::copysign.Tensor"u8, this, other);

        public Tensor div(Tensor target, RoundingMode rounding_mode = RoundingMode.None) =>
            rounding_mode == RoundingMode.None ? Op.Call("aten::div.Tensor"u8, this, target) : Op.Call("aten::div.Tensor_mode"u8, this, target, rounding_mode.ToString());

        public Tensor div(Scalar target, RoundingMode rounding_mode = RoundingMode.None) =>
            rounding_mode == RoundingMode.None ? Op.Call("aten::div.Scalar"u8, this, target) : Op.Call("aten::div.Scalar_mode"u8, this, target, rounding_mode.ToString());

        public Tensor divide(Tensor target, RoundingMode rounding_mode = RoundingMode.None) => div(target, rounding_mode);

        public Tensor divide(Scalar target, RoundingMode rounding_mode = RoundingMode.None) => div(target, rounding_mode);

        public Tensor eq(Tensor target) => Op.Call("aten::eq.Tensor"u8, this, target);

        public Tensor eq(Scalar target) => Op.Call("aten::eq.Scalar"u8, this, target);

        public Tensor equal(Tensor target) => eq(target);

        public Tensor floor_divide(Tensor other) => Op.Call("aten::floor_divide"u8, this, other);

        public Tensor floor_divide(Scalar other) => Op.Call("aten::floor_divide.Scalar"u8, this, other);

        public Tensor fmax(Tensor other) => Op.Call("aten::fmax"u8, this, other);

        public Tensor fmin(Tensor other) => Op.Call("aten::fmin"u8, this, other);

        public Tensor fmod(Tensor target) => Op.Call("aten::fmod.Tensor"u8, this, target);

        public Tensor fmod(Scalar scalar) => Op.Call("aten::fmod.Scalar"u8, this, scalar);

        public Tensor ge(Tensor target) => Op.Call("aten::ge.Tensor"u8, this, target);

        public Tensor ge(Scalar target) => Op.Call("aten::ge.Scalar"u8, this, target);

        public Tensor greater(Tensor target) => gt(target);

        public Tensor greater_equal(Tensor target) => ge(target);

        public Tensor gt(Tensor target) => Op.Call("aten::gt.Tensor"u8, this, target);

        public Tensor gt(Scalar target) => Op.Call("aten::gt.Scalar"u8, this, target);

        public Tensor hypot(Tensor other) => Op.Call("aten::hypot"u8, this, other);

        public Tensor isclose(Tensor other, double rtol = 1E-05, double atol = 1E-08, bool nanEqual = false) =>
            Op.Call("aten::isclose"u8, this, other, rtol, atol, nanEqual);

        public Tensor isin(Tensor test_elements, bool assumeUnique = false, bool invert = false) =>
            Op.Call("aten::isin.Tensor_Tensor"u8, this, test_elements, assumeUnique, invert);

        public Tensor le(Tensor target) => Op.Call("aten::le.Tensor"u8, this, target);

        public Tensor le(Scalar target) => Op.Call("aten::le.Scalar"u8, this, target);

        public Tensor lerp(Tensor end, Tensor weight) => Op.Call("aten::lerp.Tensor"u8, this, end, weight);

        public Tensor less(Tensor target) => lt(target);

        public Tensor less_equal(Tensor target) => le(target);

        public Tensor logaddexp(Tensor other) => Op.Call("aten::logaddexp"u8, this, other);

        public Tensor logical_and(Tensor other) => Op.Call("aten::logical_and"u8, this, other);

        public Tensor logical_or(Tensor other) => Op.Call("aten::logical_or"u8, this, other);

        public Tensor logical_xor(Tensor other) => Op.Call("aten::logical_xor"u8, this, other);

        public Tensor lt(Tensor target) => Op.Call("aten::lt.Tensor"u8, this, target);

        public Tensor lt(Scalar target) => Op.Call("aten::lt.Scalar"u8, this, target);

        public Tensor max(Tensor other) => maximum(other);

        public Tensor maximum(Tensor other) => Op.Call("aten::maximum"u8, this, other);

        public Tensor min(Tensor other) => minimum(other);

        public Tensor minimum(Tensor other) => Op.Call("aten::minimum"u8, this, other);

        public Tensor mul(Tensor target) => Op.Call("aten::mul.Tensor"u8, this, target);

        public Tensor mul(Scalar target) => Op.Call("aten::mul.Scalar"u8, this, target);

        public Tensor multiply(Tensor target) => mul(target);

        public Tensor multiply(Scalar target) => mul(target);

        public Tensor ne(Tensor target) => Op.Call("aten::ne.Tensor"u8, this, target);

        public Tensor ne(Scalar target) => Op.Call("aten::ne.Scalar"u8, this, target);

        public Tensor not_equal(Tensor target) => ne(target);

        public Tensor remainder(Tensor target) => Op.Call("aten::remainder.Tensor"u8, this, target);

        public Tensor remainder(Scalar scalar) => Op.Call("aten::remainder.Scalar"u8, this, scalar);

        public Tensor sub(Tensor target) => Op.Call("aten::sub.Tensor"u8, this, target);

        public Tensor sub(Scalar target) => Op.Call("aten::sub.Scalar"u8, this, target);

        public Tensor subtract(Tensor target) => sub(target);

        public Tensor subtract(Scalar target) => sub(target);

        public Tensor true_divide(Tensor other) => Op.Call("aten::true_divide.Tensor"u8, this, other);

        public Tensor true_divide(Scalar other) => Op.Call("aten::true_divide.Scalar"u8, this, other);

        public Tensor where(Tensor condition, Tensor y) => Op.Call("aten::where.self"u8, condition, this, y);

        public Tensor xlogy(Tensor y) => Op.Call("aten::xlogy.Tensor"u8, this, y);
    }
}
