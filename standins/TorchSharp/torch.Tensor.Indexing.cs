using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        [System.Runtime.CompilerServices.IndexerName("TensorItems")]
        public Tensor this[long i1]
        {
            get => select(0, i1);
            set => Assign([i1], value);
        }

        [System.Runtime.CompilerServices.IndexerName("TensorItems")]
        public Tensor this[long i1, long i2]
        {
            get => index((TensorIndex[])[i1, i2]);
            set => Assign([i1, i2], value);
        }

        [System.Runtime.CompilerServices.IndexerName("TensorItems")]
        public Tensor this[long i1, long i2, long i3]
        {
            get => index((TensorIndex[])[i1, i2, i3]);
            set => Assign([i1, i2, i3], value);
        }

        [System.Runtime.CompilerServices.IndexerName("TensorItems")]
        public Tensor this[long i1, long i2, long i3, long i4]
        {
            get => index((TensorIndex[])[i1, i2, i3, i4]);
            set => Assign([i1, i2, i3, i4], value);
        }

        [System.Runtime.CompilerServices.IndexerName("TensorItems")]
        public Tensor this[long i1, long i2, long i3, long i4, long i5]
        {
            get => index((TensorIndex[])[i1, i2, i3, i4, i5]);
            set => Assign([i1, i2, i3, i4, i5], value);
        }

        [System.Runtime.CompilerServices.IndexerName("TensorItems")]
        public Tensor this[long i1, long i2, long i3, long i4, long i5, long i6]
        {
            get => index((TensorIndex[])[i1, i2, i3, i4, i5, i6]);
            set => Assign([i1, i2, i3, i4, i5, i6], value);
        }

        [System.Runtime.CompilerServices.IndexerName("TensorItems")]
        public Tensor this[params long[] indices]
        {
            get => index(Array.ConvertAll(indices, TensorIndex (i) => i));
            set => Assign(Array.ConvertAll(indices, TensorIndex (i) => i), value);
        }

        [System.Runtime.CompilerServices.IndexerName("TensorItems")]
        public Tensor this[params TensorIndex[] indices]
        {
            get => index(indices);
            set => Assign(indices, value);
        }

        [System.Runtime.CompilerServices.IndexerName("TensorItems")]
        public Tensor this[params Tensor[] indices]
        {
            get => index(indices);
            set => index_put_(value, indices);
        }

        public Tensor index(params Tensor[] indices) => Op.Call("aten::index.Tensor"u8, this, Arg.Optional(indices));

        public Tensor index(params TensorIndex[] indices)
        {
            var (view, tensors) = Narrow(indices);
            if (tensors is null)
            {
                return view;
            }

            using (view)
            using (tensors)
            {
                return Op.Call("aten::index.Tensor"u8, view, Arg.Optional(tensors.Items));
            }
        }

        public Tensor index_put_(Tensor value, params Tensor[] indices) => index_put_(value, indices, accumulate: false);

        public Tensor index_put_(Tensor value, Tensor[] indices, bool accumulate = false) =>
            Op.InPlace("aten::index_put_"u8, this, Arg.Optional(indices), value, accumulate);

        public Tensor index_put_(Tensor value, params TensorIndex[] indices) => index_put_(value, indices, accumulate: false);

        public Tensor index_put_(Tensor value, TensorIndex[] indices, bool accumulate = false)
        {
            var (view, tensors) = Narrow(indices);
            using (view)
            using (tensors)
            {
                if (tensors is not null)
                {
                    // A value on the CPU may be put into a tensor elsewhere only if it is a single number.
                    Op.InPlace("aten::index_put_"u8, view, Arg.Optional(tensors.Items), value, accumulate);
                }
                else if (accumulate)
                {
                    view.add_(value);
                }
                else
                {
                    view.copy_(value);
                }
            }

            return this;
        }

        public Tensor index_put_(Scalar value, params TensorIndex[] indices)
        {
            using var number = Like(value);
            return index_put_(number, indices, accumulate: false);
        }

        public Tensor index_put_(Scalar value, params Tensor[] indices)
        {
            using var number = Like(value);
            return index_put_(number, indices, accumulate: false);
        }

        private void Assign(TensorIndex[] indices, Tensor value) => index_put_(value, indices, accumulate: false);

        private Tensor Like(Scalar value) => full(ReadOnlySpan<long>.Empty, value);

        /// <summary>
        /// Applies the plain indices one by one, as views. What is left to do for index tensors comes back as a list
        /// with a place for each dimension; it is null where there are none. Both are the caller's to dispose of.
        /// </summary>
        private (Tensor View, IndexTensors? Tensors) Narrow(TensorIndex[] indices)
        {
            var taken = 0L;
            foreach (var index in indices)
            {
                taken += index.kind switch
                {
                    TensorIndex.Kind.Single or TensorIndex.Kind.Slice => 1,
                    TensorIndex.Kind.Tensor => IsMask(index.tensor!) ? index.tensor!.ndim : 1,
                    _ => 0,
                };
            }

            var view = alias();
            IndexTensors? tensors = null;
            var dim = 0L;
            foreach (var index in indices)
            {
                switch (index.kind)
                {
                    case TensorIndex.Kind.Ellipsis:
                        dim += Math.Max(ndim - taken, 0);
                        break;
                    case TensorIndex.Kind.None:
                        view = Next(view, view.unsqueeze(dim++));
                        break;
                    case TensorIndex.Kind.Single:
                        view = Next(view, Op.Call("aten::select.int"u8, view, dim, index.start));
                        break;
                    case TensorIndex.Kind.Slice:
                        // The whole dimension needs no view of its own.
                        if (index.start is not (null or 0) || index.stop is not null || index.step is not (null or 1))
                        {
                            view = Next(view, Op.Call("aten::slice.Tensor"u8, view, dim, index.start, index.stop, index.step ?? 1));
                        }

                        dim++;
                        break;
                    case TensorIndex.Kind.Bool:
                        view = Next(view, view.unsqueeze(dim));
                        (tensors ??= new()).Own(dim++, torch.full([1L], index.start != 0, ScalarType.Bool, device));
                        break;
                    default:
                        (tensors ??= new()).Borrow(dim, index.tensor!);
                        dim += IsMask(index.tensor!) ? index.tensor!.ndim : 1;
                        break;
                }
            }

            return (view, tensors);
        }

        private static bool IsMask(Tensor tensor) => tensor.dtype is ScalarType.Bool or ScalarType.Byte;

        private static Tensor Next(Tensor last, Tensor next)
        {
            last.Dispose();
            return next;
        }

        /// <summary>The index tensors by dimension; null where a dimension is taken whole.</summary>
        private sealed class IndexTensors : IDisposable
        {
            private readonly List<Tensor?> items = [];
            private readonly List<Tensor> owned = [];
            private long masked;

            public Tensor?[] Items => [.. items];

            /// <summary>A mask of several dimensions stands for all of them but takes one place.</summary>
            public void Borrow(long dim, Tensor tensor)
            {
                while (items.Count < dim - masked)
                {
                    items.Add(null);
                }

                items.Add(tensor);
                masked += IsMask(tensor) ? tensor.ndim - 1 : 0;
            }

            public void Own(long dim, Tensor tensor)
            {
                owned.Add(tensor);
                Borrow(dim, tensor);
            }

            public void Dispose() => owned.ForEach(tensor => tensor.Dispose());
        }
    }
}
