using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public long Dimensions => Info.Dimensions;

        public long ndim => Info.Dimensions;

        public long NumberOfElements => Info.Elements;

        public long ElementSize => Info.ElementSize;

        public ScalarType dtype => (ScalarType)Info.DataType;

        public DeviceType device_type => (DeviceType)Info.DeviceType;

        public int device_index => Info.DeviceIndex;

        public bool is_cuda => device_type == DeviceType.CUDA;

        public bool is_meta => device_type == DeviceType.META;

        public bool is_sparse => Info.IsSparse != 0;

        public Device device
        {
            get
            {
                var info = Info;
                return info.DeviceType == (int)DeviceType.CPU ? CPU : new Device((DeviceType)info.DeviceType, info.DeviceIndex);
            }
        }

        public unsafe long[] shape
        {
            get
            {
                var sizes = new long[Info.Dimensions];
                fixed (long* first = sizes)
                {
                    Native.Check(Native.tsb_sizes(Handle, first));
                }

                GC.KeepAlive(this);
                return sizes;
            }
        }

        private unsafe TensorInfo Info
        {
            get
            {
                TensorInfo info;
                Native.Check(Native.tsb_info(Handle, &info));
                GC.KeepAlive(this);
                return info;
            }
        }

        public long dim() => Info.Dimensions;

        public long numel() => Info.Elements;

        public long element_size() => Info.ElementSize;

        public long storage_offset() => Info.StorageOffset;

        public bool is_contiguous() => Info.IsContiguous != 0;

        public bool is_cpu() => device_type == DeviceType.CPU;

        public bool is_floating_point() => torch.is_floating_point(dtype);

        public bool is_integral() => torch.is_integral(dtype);

        public bool is_complex() => torch.is_complex(dtype);

        public long[] size() => shape;

        public long size(int dim) => At(shape, dim);

        public unsafe long[] stride()
        {
            var strides = new long[Info.Dimensions];
            fixed (long* first = strides)
            {
                Native.Check(Native.tsb_strides(Handle, first));
            }

            GC.KeepAlive(this);
            return strides;
        }

        public long stride(int dim) => At(stride(), dim);

        private static long At(long[] values, int dim)
        {
            var place = dim < 0 ? dim + values.Length : dim;
            return (uint)place < (uint)values.Length
                ? values[place]
                : throw new IndexOutOfRangeException($"Dimension {dim} is out of range for a tensor of {values.Length} dimensions.");
        }
    }
}
