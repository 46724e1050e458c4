using System.Runtime.InteropServices;
using TorchSharp.Interop;
using TorchSharp.Utils;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public unsafe Span<byte> bytes
        {
            get
            {
                var info = Info;
                if (info.IsContiguous == 0)
                {
                    throw new NotImplementedException("The bytes of a tensor that is not contiguous cannot be had; call contiguous() first.");
                }

                var size = info.Elements * info.ElementSize;
                return size <= int.MaxValue
                    ? new Span<byte>(Data(), (int)size)
                    : throw new ArgumentException($"A span cannot hold the {size} bytes of this tensor.");
            }

            set
            {
                var target = bytes;
                if (value.Length != target.Length)
                {
                    throw new ArgumentException($"The tensor has {target.Length} bytes but {value.Length} were given.");
                }

                value.CopyTo(target);
                GC.KeepAlive(this);
            }
        }

        public TensorAccessor<T> data<T>()
            where T : unmanaged
        {
            RequireType<T>();
            return is_cpu() ? new TensorAccessor<T>(this, owned: false) : new TensorAccessor<T>(cpu().DetachFromDisposeScope(), owned: true);
        }

        public unsafe T item<T>()
            where T : unmanaged
        {
            var info = Info;
            if (info.Elements != 1)
            {
                throw new ArgumentException($"Only a tensor of one element is a single value; this one has {info.Elements}.");
            }

            RequireType<T>();
            if (info.DeviceType == (int)DeviceType.CPU)
            {
                var value = *(T*)Data();
                GC.KeepAlive(this);
                return value;
            }

            using var copy = cpu();
            return copy.item<T>();
        }

        public Scalar ToScalar() => Op.CallScalar("aten::item"u8, this);

        public void WriteBytesToStream(Stream stream, int bufferSize = 1024) => EachPart(bufferSize, (pointer, length) =>
        {
            unsafe
            {
                stream.Write(new ReadOnlySpan<byte>((void*)pointer, length));
            }
        });

        public void ReadBytesFromStream(Stream stream, int bufferSize = 1024) => EachPart(bufferSize, (pointer, length) =>
        {
            unsafe
            {
                stream.ReadExactly(new Span<byte>((void*)pointer, length));
            }
        });

        /// <summary>The address of the first element, on the CPU.</summary>
        internal unsafe void* Data()
        {
            if (!is_cpu())
            {
                throw new InvalidOperationException($"A tensor on {device} cannot be read from here; call cpu() first.");
            }

            var data = Native.tsb_data(Handle);
            return data is not null || NumberOfElements == 0 ? data : throw Native.Error();
        }

        /// <summary>Passes the memory on in parts, so that tensors of more than 2 GiB can be written and read.</summary>
        private unsafe void EachPart(int bufferSize, Action<nint, int> part)
        {
            if (!is_contiguous())
            {
                throw new NotImplementedException("The bytes of a tensor that is not contiguous cannot be had; call contiguous() first.");
            }

            var next = (nint)Data();
            var chunk = Math.Max(bufferSize, 1 << 20);
            for (var left = NumberOfElements * ElementSize; left > 0;)
            {
                var length = (int)Math.Min(left, chunk);
                part(next, length);
                next += length;
                left -= length;
            }

            GC.KeepAlive(this);
        }

        private void RequireType<T>()
            where T : unmanaged
        {
            var type = dtype;
            if (ScalarTypes.Of<T>() != type)
            {
                throw new ArgumentException($"{typeof(T).Name} is not compatible with {type}");
            }
        }
    }
}
