using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public Tensor addbmm(Tensor batch1, Tensor batch2, float beta = 1f, float alpha = 1f) =>
            Op.Call("aten::addbmm"u8, this, batch1, batch2, (double)beta, (double)alpha);

        public Tensor addmm(Tensor mat1, Tensor mat2, float beta = 1f, float alpha = 1f) =>
            Op.Call("aten::addmm"u8, this, mat1, mat2, (double)beta, (double)alpha);

        public Tensor addmv(Tensor mat, Tensor vec, float beta = 1f, float alpha = 1f) =>
            Op.Call("aten::addmv"u8, this, mat, vec, (double)beta, (double)alpha);

        public Tensor baddbmm(Tensor batch1, Tensor batch2, float beta = 1f, float alpha = 1f) =>
            Op.Call("aten::baddbmm"u8, this, batch1, batch2, (double)beta, (double)alpha);

        public Tensor bmm(Tensor batch2) => Op.Call("aten::bmm"u8, this, batch2);

        public Tensor corrcoef() => Op.Call("aten::corrcoef"u8, this);

        public Tensor cov(long correction = 1, Tensor? fweights = null, Tensor? aweights = null) =>
            Op.Call("aten::cov"u8, this, correction, fweights, aweights);

        public Tensor det() => Op.Call("aten::linalg_det"u8, this);

        public Tensor dot(Tensor target) => Op.Call("aten::dot"u8, this, target);

        public Tensor inner(Tensor vec2) => Op.Call("aten::inner"u8, this, vec2);

        public Tensor inverse() => Op.Call("aten::linalg_inv"u8, this);

        public Tensor kron(Tensor other) => Op.Call("aten::kron"u8, this, other);

        public Tensor matmul(Tensor target) => Op.Call("aten::matmul"u8, this, target);

        public Tensor matrix_power(int n) => Op.Call("aten::matrix_power"u8, this, n);

        public Tensor mm(Tensor target) => Op.Call("aten::mm"u8, this, target);

        public Tensor mv(Tensor target) => Op.Call("aten::mv"u8, this, target);

        public Tensor outer(Tensor vec2) => Op.Call("aten::outer"u8, this, vec2);

        public Tensor pinverse(double rcond = 1E-15, bool hermitian = false) => Op.Call("aten::linalg_pinv"u8, this, rcond, hermitian);

        public Tensor tensordot(Tensor b, long[] dims1, long[] dims2) => Op.Call("aten::tensordot"u8, this, b, dims1, dims2);

        public Tensor tensordot(Tensor b, long dims = 2) =>
            tensordot(b, Enumerable.Range(0, (int)dims).Select(i => ndim - dims + i).ToArray(), Enumerable.Range(0, (int)dims).Select(i => (long)i).ToArray());

        public Tensor trace() => Op.Call("aten::trace"u8, this);
    }
}
