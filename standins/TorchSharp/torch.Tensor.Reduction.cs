using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public Tensor all() => Op.Call("aten::all"u8, this);

        public Tensor all(long dim, bool keepdim = false) => Op.Call("aten::all.dim"u8, this, dim, keepdim);

        public Tensor amax(params long[] dims) => Op.Call("aten::amax"u8, this, dims);

        public Tensor amax(long[] dims, bool keepdim = false, Tensor? @out = null) =>
            @out is null ? Op.Call("aten::amax"u8, this, dims, keepdim) : Into(@out, "aten::amax.out"u8, dims, keepdim);

        public Tensor amax(ReadOnlySpan<long> dims, bool keepdim = false, Tensor? @out = null) =>
            @out is null ? Op.Call("aten::amax"u8, this, dims, keepdim) : Into(@out, "aten::amax.out"u8, dims, keepdim);

        public Tensor amin(params long[] dims) => Op.Call("aten::amin"u8, this, dims);

        public Tensor amin(long[] dims, bool keepdim = false, Tensor? @out = null) =>
            @out is null ? Op.Call("aten::amin"u8, this, dims, keepdim) : Into(@out, "aten::amin.out"u8, dims, keepdim);

        public Tensor amin(ReadOnlySpan<long> dims, bool keepdim = false, Tensor? @out = null) =>
            @out is null ? Op.Call("aten::amin"u8, this, dims, keepdim) : Into(@out, "aten::amin.out"u8, dims, keepdim);

        public (Tensor, Tensor) aminmax(long? dim = null, bool keepdim = false) => Op.Call2("aten::aminmax"u8, this, dim, keepdim);

        public Tensor any() => Op.Call("aten::any"u8, this);

        public Tensor any(long dim, bool keepdim = false) => Op.Call("aten::any.dim"u8, this, dim, keepdim);

        public Tensor argmax() => Op.Call("aten::argmax"u8, this);

        public Tensor argmax(long dim, bool keepdim = false) => Op.Call("aten::argmax"u8, this, dim, keepdim);

        public Tensor argmin() => Op.Call("aten::argmin"u8, this);

        public Tensor argmin(long dim, bool keepdim = false) => Op.Call("aten::argmin"u8, this, dim, keepdim);

        public Tensor argsort(long dim = -1, bool descending = false) => Op.Call("aten::argsort"u8, this, dim, descending);

        public Tensor bincount(Tensor? weights, long minlength = 0) => Op.Call("aten::bincount"u8, this, weights, minlength);

        public Tensor count_nonzero(long[]? dims = null) =>
            dims is null ? Op.Call("aten::count_nonzero"u8, this) : Op.Call("aten::count_nonzero.dim_IntList"u8, this, dims);

        public (Tensor, Tensor) cummax(long dim) => Op.Call2("aten::cummax"u8, this, dim);

        public (Tensor, Tensor) cummin(long dim) => Op.Call2("aten::cummin"u8, this, dim);

        public Tensor cumprod(long dim, ScalarType? type = null) => Op.Call("aten::cumprod"u8, this, dim, type);

        public Tensor cumsum(long dim, ScalarType? type = null) => Op.Call("aten::cumsum"u8, this, dim, type);

        public Tensor diff(long n = 1, long dim = -1, Tensor? prepend = null, Tensor? append = null) =>
            Op.Call("aten::diff"u8, this, n, dim, prepend, append);

        public Tensor dist(Tensor other, float p = 2f) => Op.Call("aten::dist"u8, this, other, (double)p);

        public Tensor histc(long bins = 100, long min = 0, long max = 0) => Op.Call("aten::histc"u8, this, bins, min, max);

        public (Tensor, Tensor) kthvalue(long k, long? dim, bool keepdim = false) => Op.Call2("aten::kthvalue"u8, this, k, dim ?? -1, keepdim);

        public Tensor logcumsumexp(long dim) => Op.Call("aten::logcumsumexp"u8, this, dim);

        public Tensor logsumexp(long dim, bool keepdim = false) => Op.Call("aten::logsumexp"u8, this, Arg.Ints(dim), keepdim);

        public Tensor max() => Op.Call("aten::max"u8, this);

        public (Tensor, Tensor) max(long dim, bool keepdim = false) => Op.Call2("aten::max.dim"u8, this, dim, keepdim);

        public Tensor mean() => Op.Call("aten::mean"u8, this);

        public Tensor mean(long[] dimensions, bool keepdim = false, ScalarType? type = null) =>
            Op.Call("aten::mean.dim"u8, this, dimensions, keepdim, type);

        public Tensor median() => Op.Call("aten::median"u8, this);

        public Tensor min() => Op.Call("aten::min"u8, this);

        public (Tensor, Tensor) min(long dim, bool keepdim = false) => Op.Call2("aten::min.dim"u8, this, dim, keepdim);

        public (Tensor, Tensor) mode(long dim = -1, bool keepdim = false) => Op.Call2("aten::mode"u8, this, dim, keepdim);

        public Tensor msort() => Op.Call("aten::msort"u8, this);

        public Tensor nanquantile(Tensor q, long dim = -1, bool keepdim = false) => Op.Call("aten::nanquantile"u8, this, q, dim, keepdim);

        public Tensor nansum() => Op.Call("aten::nansum"u8, this);

        public Tensor norm(float p = 2f) => Op.Call("aten::norm.Scalar"u8, this, (double)p);

        public Tensor norm(int dim, bool keepdim = false, float p = 2f) =>
            Op.Call("aten::norm.ScalarOpt_dim"u8, this, (double)p, Arg.Ints(dim), keepdim);

        public Tensor prod(ScalarType? type = null) => Op.Call("aten::prod"u8, this, type);

        public Tensor prod(long dim, bool keepdim = false, ScalarType? type = null) => Op.Call("aten::prod.dim_int"u8, this, dim, keepdim, type);

        public Tensor quantile(Tensor q, long dim = -1, bool keepdim = false) => Op.Call("aten::quantile"u8, this, q, dim, keepdim);

        public (Tensor, Tensor) sort(long dim = -1, bool descending = false, bool stable = false) =>
            Op.Call2("aten::sort.stable"u8, this, stable, dim, descending);

        public Tensor std(bool unbiased = true) => Op.Call("aten::std"u8, this, unbiased);

        public Tensor std(long dim, bool unbiased = true, bool keepdim = false, ScalarType? type = null) =>
            As(Op.Call("aten::std.dim"u8, this, Arg.Ints(dim), unbiased, keepdim), type);

        public Tensor std(long[] dimensions, bool unbiased = true, bool keepdim = false, ScalarType? type = null) =>
            As(Op.Call("aten::std.dim"u8, this, dimensions, unbiased, keepdim), type);

        public Tensor std(ReadOnlySpan<long> dimensions, bool unbiased = true, bool keepdim = false, ScalarType? type = null) =>
            As(Op.Call("aten::std.dim"u8, this, dimensions, unbiased, keepdim), type);

        public Tensor std((long, long) dim, bool unbiased = true, bool keepdim = false, ScalarType? type = null) =>
            As(Op.Call("aten::std.dim"u8, this, Arg.Ints(dim.Item1, dim.Item2), unbiased, keepdim), type);

        public Tensor std((long, long, long) dim, bool unbiased = true, bool keepdim = false, ScalarType? type = null) =>
            As(Op.Call("aten::std.dim"u8, this, Arg.Ints(dim.Item1, dim.Item2, dim.Item3), unbiased, keepdim), type);

        public (Tensor, Tensor) std_mean(bool unbiased = true) => Op.Call2("aten::std_mean"u8, this, unbiased);

        public (Tensor, Tensor) std_mean(long dim, bool unbiased = true, bool keepdim = false, ScalarType? type = null) =>
            As(Op.Call2("aten::std_mean.dim"u8, this, Arg.Ints(dim), unbiased, keepdim), type);

        public (Tensor, Tensor) std_mean(long[] dimensions, bool unbiased = true, bool keepdim = false, ScalarType? type = null) =>
            As(Op.Call2("aten::std_mean.dim"u8, this, dimensions, unbiased, keepdim), type);

        public Tensor sum(ScalarType? type = null) => Op.Call("aten::sum"u8, this, type);

        public Tensor sum(long dim, bool keepdim = false, ScalarType? type = null) =>
            Op.Call("aten::sum.dim_IntList"u8, this, Arg.Ints(dim), keepdim, type);

        public Tensor sum(long dim0, long dim1, bool keepdim = false, ScalarType? type = null) =>
            Op.Call("aten::sum.dim_IntList"u8, this, Arg.Ints(dim0, dim1), keepdim, type);

        public Tensor sum(long dim0, long dim1, long dim2, bool keepdim = false, ScalarType? type = null) =>
            Op.Call("aten::sum.dim_IntList"u8, this, Arg.Ints(dim0, dim1, dim2), keepdim, type);

        public Tensor sum(long[] dim, bool keepdim = false, ScalarType? type = null) => Op.Call("aten::sum.dim_IntList"u8, this, dim, keepdim, type);

        public Tensor sum(ReadOnlySpan<long> dim, bool keepdim = false, ScalarType? type = null) =>
            Op.Call("aten::sum.dim_IntList"u8, this, dim, keepdim, type);

        public (Tensor, Tensor) topk(int k, int dim = -1, bool largest = true, bool sorted = true) =>
            Op.Call2("aten::topk"u8, this, k, dim, largest, sorted);

        public Tensor var(bool unbiased = true) => Op.Call("aten::var"u8, this, unbiased);

        public Tensor var(long dim, bool unbiased = true, bool keepdim = false, ScalarType? type = null) =>
            As(Op.Call("aten::var.dim"u8, this, Arg.Ints(dim), unbiased, keepdim), type);

        public Tensor var(long[] dimensions, bool unbiased = true, bool keepdim = false, ScalarType? type = null) =>
            As(Op.Call("aten::var.dim"u8, this, dimensions, unbiased, keepdim), type);

        public Tensor var(ReadOnlySpan<long> dimensions, bool unbiased = true, bool keepdim = false, ScalarType? type = null) =>
            As(Op.Call("aten::var.dim"u8, this, dimensions, unbiased, keepdim), type);

        public Tensor var((long, long) dim, bool unbiased = true, bool keepdim = false, ScalarType? type = null) =>
            As(Op.Call("aten::var.dim"u8, this, Arg.Ints(dim.Item1, dim.Item2), unbiased, keepdim), type);

        public Tensor var((long, long, long) dim, bool unbiased = true, bool keepdim = false, ScalarType? type = null) =>
            As(Op.Call("aten::var.dim"u8, this, Arg.Ints(dim.Item1, dim.Item2, dim.Item3), unbiased, keepdim), type);

        public (Tensor, Tensor) var_mean(bool unbiased = true) => Op.Call2("aten::var_mean"u8, this, unbiased);

        public (Tensor, Tensor) var_mean(long dim, bool unbiased = true, bool keepdim = false, ScalarType? type = null) =>
            As(Op.Call2("aten::var_mean.dim"u8, this, Arg.Ints(dim), unbiased, keepdim), type);

        public (Tensor, Tensor) var_mean(long[] dimensions, bool unbiased = true, bool keepdim = false, ScalarType? type = null) =>
            As(Op.Call2("aten::var_mean.dim"u8, this, dimensions, unbiased, keepdim), type);

        private static Tensor As(Tensor result, ScalarType? type)
        {
            if (type is not { } wanted || wanted == result.dtype)
            {
                return result;
            }

            using (result)
            {
                return result.to(wanted);
            }
        }

        private static (Tensor, Tensor) As((Tensor First, Tensor Second) results, ScalarType? type) => (As(results.First, type), As(results.Second, type));

        private Tensor Into(Tensor result, ReadOnlySpan<byte> name, in Arg dims, bool keepdim)
        {
            Op.Call(name, this, dims, keepdim, result).Dispose();
            return result;
        }
    }
}
