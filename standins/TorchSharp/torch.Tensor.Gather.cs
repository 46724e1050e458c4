using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public Tensor argwhere() => Op.Call("aten::argwhere"u8, this);

        public Tensor bucketize(Tensor boundaries, bool outInt32 = false, bool right = false) =>
            Op.Call("aten::bucketize.Tensor"u8, this, boundaries, outInt32, right);

        public Tensor gather(long dim, Tensor index) => Op.Call("aten::gather"u8, this, dim, index);

        public Tensor index_add(long dim, Tensor index, Tensor source, Scalar alpha) => Op.Call("aten::index_add"u8, this, dim, index, source, alpha);

        public Tensor index_add_(long dim, Tensor index, Tensor source, Scalar alpha) =>
            Op.InPlace("aten::index_add_"u8, this, dim, index, source, alpha);

        public Tensor index_copy(long dim, Tensor index, Tensor source) => Op.Call("aten::index_copy"u8, this, dim, index, source);

        public Tensor index_copy_(long dim, Tensor index, Tensor source) => Op.InPlace("aten::index_copy_"u8, this, dim, index, source);

        public Tensor index_fill(long dim, Tensor index, Scalar value) => Op.Call("aten::index_fill.int_Scalar"u8, this, dim, index, value);

        public Tensor index_fill_(long dim, Tensor index, Scalar value) => Op.InPlace("aten::index_fill_.int_Scalar"u8, this, dim, index, value);

        public Tensor index_select(long dim, Tensor index) => Op.Call("aten::index_select"u8, this, dim, index);

        public Tensor masked_fill(Tensor mask, Scalar value) => Op.Call("aten::masked_fill.Scalar"u8, this, mask, value);

        public Tensor masked_fill_(Tensor mask, Scalar value) => Op.InPlace("aten::masked_fill_.Scalar"u8, this, mask, value);

        public Tensor masked_scatter(Tensor mask, Tensor value) => Op.Call("aten::masked_scatter"u8, this, mask, value);

        public Tensor masked_scatter_(Tensor mask, Tensor value) => Op.InPlace("aten::masked_scatter_"u8, this, mask, value);

        public Tensor masked_select(Tensor mask) => Op.Call("aten::masked_select"u8, this, mask);

        public Tensor nonzero() => Op.Call("aten::nonzero"u8, this);

        public IList<Tensor> nonzero_as_list() => Op.CallList("aten::nonzero_numpy"u8, Math.Max(ndim, 1), this);

        public Tensor scatter(long dim, Tensor index, Tensor src) => Op.Call("aten::scatter.src"u8, this, dim, index, src);

        public Tensor scatter_(long dim, Tensor index, Tensor src) => Op.InPlace("aten::scatter_.src"u8, this, dim, index, src);

        public Tensor scatter_add(long dim, Tensor index, Tensor src) => Op.Call("aten::scatter_add"u8, this, dim, index, src);

        public Tensor scatter_add_(long dim, Tensor index, Tensor src) => Op.InPlace("aten::scatter_add_"u8, this, dim, index, src);

        public Tensor take(Tensor index) => Op.Call("aten::take"u8, this, index);

        public Tensor take_along_dim(Tensor indices) => Op.Call("aten::take_along_dim"u8, this, indices);

        public Tensor take_along_dim(Tensor indices, long dim) => Op.Call("aten::take_along_dim"u8, this, indices, dim);

        public (Tensor output, Tensor? inverse_indices, Tensor? counts) unique(
            bool sorted = true, bool return_inverse = false, bool return_counts = false, int? dim = null)
        {
            var (output, inverse, counts) = dim is null
                ? Op.Call3("aten::_unique2"u8, this, sorted, return_inverse, return_counts)
                : Op.Call3("aten::unique_dim"u8, this, dim, sorted, return_inverse, return_counts);
            return (output, Wanted(inverse, return_inverse), Wanted(counts, return_counts));
        }

        public (Tensor output, Tensor? inverse_indices, Tensor? counts) unique_consecutive(
            bool return_inverse = false, bool return_counts = false, int? dim = null)
        {
            var (output, inverse, counts) = Op.Call3("aten::unique_consecutive"u8, this, return_inverse, return_counts, dim);
            return (output, Wanted(inverse, return_inverse), Wanted(counts, return_counts));
        }

        private static Tensor? Wanted(Tensor tensor, bool wanted)
        {
            if (wanted)
            {
                return tensor;
            }

            tensor.Dispose();
            return null;
        }
    }
}
