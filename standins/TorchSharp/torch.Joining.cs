using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public static Tensor cat(IList<Tensor> tensors, long dim = 0) => Op.Call("aten::cat"u8, tensors.ToArray(), dim);

    public static Tensor cat(Tensor[] tensors, long dim = 0) => Op.Call("aten::cat"u8, tensors, dim);

    public static Tensor cat(ReadOnlySpan<Tensor> tensors, long dim = 0) => Op.Call("aten::cat"u8, tensors, dim);

    public static Tensor concat(IList<Tensor> tensors, long dim = 0) => cat(tensors, dim);

    public static Tensor concat(Tensor[] tensors, long dim = 0) => cat(tensors, dim);

    public static Tensor concat(ReadOnlySpan<Tensor> tensors, long dim = 0) => cat(tensors, dim);

    public static Tensor concatenate(IList<Tensor> tensors, long axis = 0) => cat(tensors, axis);

    public static Tensor concatenate(Tensor[] tensors, long axis = 0) => cat(tensors, axis);

    public static Tensor concatenate(ReadOnlySpan<Tensor> tensors, long axis = 0) => cat(tensors, axis);

    public static Tensor stack(IEnumerable<Tensor> tensors, long dim = 0) => Op.Call("aten::stack"u8, tensors.ToArray(), dim);

    public static Tensor vstack(IList<Tensor> tensors) => Op.Call("aten::vstack"u8, tensors.ToArray());

    public static Tensor vstack(Tensor[] tensors) => Op.Call("aten::vstack"u8, tensors);

    public static Tensor vstack(ReadOnlySpan<Tensor> tensors) => Op.Call("aten::vstack"u8, tensors);

    public static Tensor hstack(IEnumerable<Tensor> tensors) => Op.Call("aten::hstack"u8, tensors.ToArray());

    public static Tensor hstack(IList<Tensor> tensors) => Op.Call("aten::hstack"u8, tensors.ToArray());

    public static Tensor hstack(params Tensor[] tensors) => Op.Call("aten::hstack"u8, tensors);

    public static Tensor hstack(ReadOnlySpan<Tensor> tensors) => Op.Call("aten::hstack"u8, tensors);

    public static Tensor einsum(string equation, params Tensor[] tensors) => Op.Call("aten::einsum"u8, equation, tensors);

    public static Tensor[] meshgrid(IEnumerable<Tensor> tensors, string indexing = "ij") => Grid(tensors.ToArray(), indexing);

    public static IList<Tensor> broadcast_tensors(params Tensor[] tensors) => Op.CallList("aten::broadcast_tensors"u8, tensors.Length, tensors);

    public static Tensor block_diag(params Tensor[] tensors) => Op.Call("aten::block_diag"u8, tensors);

    public static Tensor[] where(Tensor condition) => Op.CallList("aten::where"u8, Math.Max(condition.ndim, 1), condition);

    public static Tensor where(Tensor condition, Tensor x, Tensor y) => Op.Call("aten::where.self"u8, condition, x, y);

    public static Tensor cartesian_prod(params Tensor[] tensors) => Op.Call("aten::cartesian_prod"u8, tensors);

    public static Tensor searchsorted(Tensor sorted_sequence, Tensor values, bool out_int32 = false, bool right = false, Tensor? sorter = null) =>
        Op.Call("aten::searchsorted.Tensor"u8, sorted_sequence, values, out_int32, right, default(Arg), sorter);

    public static Tensor gather(Tensor input, long dim, Tensor index, bool sparse_grad = false) =>
        Op.Call("aten::gather"u8, input, dim, index, sparse_grad);

    public static Tensor norm(Tensor input) => input.norm();

    public static Tensor norm(Tensor input, float p = 2f) => input.norm(p);

    public static Tensor norm(Tensor input, int dimension, bool keepdim = false, float p = 2f) => input.norm(dimension, keepdim, p);

    public static Tensor softmax(Tensor input, int dim, ScalarType? dtype = null) => input.softmax(dim, dtype);

    public static Tensor[] split(Tensor tensor, long[] split_size_or_sections, long dim = 0) => tensor.split(split_size_or_sections, dim);

    public static Tensor[] unbind(Tensor tensor, int dim = 0) => tensor.unbind(dim);

    public static Tensor diag_embed(Tensor input, long offset = 0, long dim1 = -2, long dim2 = -1) => input.diag_embed(offset, dim1, dim2);

    public static Tensor movedim(Tensor input, long source, long destination) => Op.Call("aten::movedim.int"u8, input, source, destination);

    private static Tensor[] Grid(Tensor[] tensors, string indexing) =>
        Op.CallList("aten::meshgrid.indexing"u8, tensors.Length, tensors, indexing);
}
