using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public Tensor as_strided(long[] size, long[] strides, long storageOffset = 0) =>
            Op.Call("aten::as_strided"u8, this, size, strides, storageOffset);

        public Tensor broadcast_to(params long[] shape) => Op.Call("aten::broadcast_to"u8, this, shape);

        public Tensor[] chunk(long chunks, long dim = 0) => Op.CallList("aten::chunk"u8, Math.Max(chunks, 1), this, chunks, dim);

        public Tensor clone() => Op.Call("aten::clone"u8, this);

        public Tensor contiguous() => Op.Call("aten::contiguous"u8, this);

        public Tensor detach() => Op.Call("aten::detach"u8, this);

        public Tensor diag(long diagonal = 0) => Op.Call("aten::diag"u8, this, diagonal);

        public Tensor diag_embed(long offset = 0, long dim1 = -2, long dim2 = -1) => Op.Call("aten::diag_embed"u8, this, offset, dim1, dim2);

        public Tensor diagonal(long offset = 0, long dim1 = 0, long dim2 = 1) => Op.Call("aten::diagonal"u8, this, offset, dim1, dim2);

        public Tensor expand(params long[] sizes) => Op.Call("aten::expand"u8, this, sizes);

        public Tensor expand(long[] sizes, bool isImplicit = false) => Op.Call("aten::expand"u8, this, sizes, isImplicit);

        public Tensor expand(ReadOnlySpan<long> sizes, bool isImplicit = false) => Op.Call("aten::expand"u8, this, sizes, isImplicit);

        public Tensor expand(Size sizes, bool isImplicit = false) => Op.Call("aten::expand"u8, this, sizes.Shape, isImplicit);

        public Tensor expand_as(Tensor other) => Op.Call("aten::expand_as"u8, this, other);

        public Tensor flatten(long start_dim = 0, long end_dim = -1) => Op.Call("aten::flatten.using_ints"u8, this, start_dim, end_dim);

        public Tensor flip(params long[] dims) => Op.Call("aten::flip"u8, this, dims);

        public Tensor fliplr() => Op.Call("aten::fliplr"u8, this);

        public Tensor flipud() => Op.Call("aten::flipud"u8, this);

        public Tensor moveaxis(long[] source, long[] destination) => movedim(source, destination);

        public Tensor movedim(long[] source, long[] destination) => Op.Call("aten::movedim.intlist"u8, this, source, destination);

        public Tensor narrow(long dim, long start, long length) => Op.Call("aten::narrow"u8, this, dim, start, length);

        public Tensor permute(params long[] permutation) => Op.Call("aten::permute"u8, this, permutation);

        public Tensor permute(IEnumerable<long> permutation) => Op.Call("aten::permute"u8, this, permutation.ToArray());

        public Tensor pin_memory() => Op.Call("aten::pin_memory"u8, this);

        public Tensor ravel() => Op.Call("aten::ravel"u8, this);

        public Tensor repeat(params long[] sizes) => Op.Call("aten::repeat"u8, this, sizes);

        public Tensor repeat_interleave(long repeats, long? dim = null, long? output_size = null) =>
            Op.Call("aten::repeat_interleave.self_int"u8, this, repeats, dim, output_size);

        public Tensor repeat_interleave(Tensor repeats, long? dim = null, long? output_size = null) =>
            Op.Call("aten::repeat_interleave.self_Tensor"u8, this, repeats, dim, output_size);

        public Tensor reshape(params long[] shape) => Op.Call("aten::reshape"u8, this, shape);

        public Tensor roll(long shifts, long? dims = null) =>
            Op.Call("aten::roll"u8, this, Arg.Ints(shifts), dims is { } dim ? Arg.Ints(dim) : Arg.Ints());

        public Tensor roll(long[] shifts) => Op.Call("aten::roll"u8, this, shifts);

        public Tensor roll(long[] shifts, long[] dims) => Op.Call("aten::roll"u8, this, shifts, dims);

        public Tensor roll(ReadOnlySpan<long> shifts, ReadOnlySpan<long> dims = default) => Op.Call("aten::roll"u8, this, shifts, dims);

        public Tensor roll((long, long) shifts, (long, long) dims) =>
            Op.Call("aten::roll"u8, this, Arg.Ints(shifts.Item1, shifts.Item2), Arg.Ints(dims.Item1, dims.Item2));

        public Tensor roll((long, long, long) shifts, (long, long, long) dims) =>
            Op.Call("aten::roll"u8, this, Arg.Ints(shifts.Item1, shifts.Item2, shifts.Item3), Arg.Ints(dims.Item1, dims.Item2, dims.Item3));

        public Tensor rot90(long k = 1, (long, long)? dims = null) => Op.Call("aten::rot90"u8, this, k, Arg.Ints(dims?.Item1 ?? 0, dims?.Item2 ?? 1));

        public Tensor select(long dim, long index) => Op.Call("aten::select.int"u8, this, dim, index);

        public Tensor select_scatter(Tensor src, long dim, long index) => Op.Call("aten::select_scatter"u8, this, src, dim, index);

        public Tensor set_(Tensor source) => Op.InPlace("aten::set_.source_Tensor"u8, this, source);

        public Tensor slice(long dim, long start, long finish, long step) => Op.Call("aten::slice.Tensor"u8, this, dim, start, finish, step);

        public Tensor slice_scatter(Tensor src, long dim = 0, long? start = null, long? end = null, long step = 1) =>
            Op.Call("aten::slice_scatter"u8, this, src, dim, start, end, step);

        public Tensor[] split(long size, int dim = 0) => Op.CallList("aten::split.Tensor"u8, this.size(dim) / Math.Max(size, 1) + 1, this, size, dim);

        public Tensor[] split(params long[] sizes) => split(sizes, 0);

        public Tensor[] split(long[] sizes, long dim = 0) => Op.CallList("aten::split_with_sizes"u8, sizes.Length, this, sizes, dim);

        public Tensor[] split(ReadOnlySpan<long> sizes, long dim = 0) => Op.CallList("aten::split_with_sizes"u8, sizes.Length, this, sizes, dim);

        public Tensor squeeze(long? dim = null) => dim is null ? Op.Call("aten::squeeze"u8, this) : Op.Call("aten::squeeze.dim"u8, this, dim);

        public Tensor squeeze_(long? dim = null) =>
            dim is null ? Op.InPlace("aten::squeeze_"u8, this) : Op.InPlace("aten::squeeze_.dim"u8, this, dim);

        public Tensor swapaxes(long dim0, long dim1) => transpose(dim0, dim1);

        public Tensor swapdims(long dim0, long dim1) => transpose(dim0, dim1);

        public Tensor t() => Op.Call("aten::t"u8, this);

        public Tensor[] tensor_split(long size, long dim = 0) => Op.CallList("aten::tensor_split.sections"u8, Math.Max(size, 1), this, size, dim);

        public Tensor[] tensor_split(long[] sizes, long dim = 0) => Op.CallList("aten::tensor_split.indices"u8, sizes.Length + 1, this, sizes, dim);

        public Tensor tile(long[] reps) => Op.Call("aten::tile"u8, this, reps);

        public Tensor transpose(long dim0, long dim1) => Op.Call("aten::transpose.int"u8, this, dim0, dim1);

        public Tensor transpose_(long dim0, long dim1) => Op.InPlace("aten::transpose_"u8, this, dim0, dim1);

        public Tensor tril(long diagonal = 0) => Op.Call("aten::tril"u8, this, diagonal);

        public Tensor triu(long diagonal = 0) => Op.Call("aten::triu"u8, this, diagonal);

        public Tensor[] unbind(long dimension = 0) => Op.CallList("aten::unbind.int"u8, size((int)dimension), this, dimension);

        public Tensor unflatten(long dim, params long[] sizes) => Op.Call("aten::unflatten.int"u8, this, dim, sizes);

        public Tensor unflatten(long dim, Size sizes) => unflatten(dim, sizes.Shape);

        public Tensor unfold(long dimension, long size, long step) => Op.Call("aten::unfold"u8, this, dimension, size, step);

        public Tensor unsqueeze(long dim) => Op.Call("aten::unsqueeze"u8, this, dim);

        public Tensor unsqueeze_(long dim) => Op.InPlace("aten::unsqueeze_"u8, this, dim);

        public Tensor view(params long[] shape) => Op.Call("aten::view"u8, this, shape);

        public Tensor view_as(Tensor other) => Op.Call("aten::view_as"u8, this, other);

        public Tensor T => Op.Call("aten::numpy_T"u8, this);

        public Tensor mT => Op.Call("aten::mT"u8, this);
    }
}
