using System.Runtime.InteropServices;

namespace RegCache.Lab.Distributed;

/// <summary>
/// Several processes with a GPU each: NCCL carries tensors of the GPU, without going through the machine's memory, MPI everything else, among it
/// NCCL's own identity. Operations are queued on libtorch's default stream, in the order of the tensor operators; sums that begin beside them, on a
/// stream of their own.
/// </summary>
/// <remarks>Declarations follow NCCL 2's header (docs.nvidia.com/deeplearning/nccl, "API"), which has kept them since 2.0; bfloat16 since 2.10. It has
/// not been run: no machine with GPUs was at hand.</remarks>
/// <param name="mpi">The same processes by MPI; disposed with this group.</param>
/// <param name="communicator">NCCL's handle.</param>
public sealed unsafe class NcclGroup(IProcessGroup mpi, nint communicator) : IProcessGroup
{
    private long _bytes;
    private nint _stream, _event;

    /// <inheritdoc />
    public int Rank => mpi.Rank;

    /// <inheritdoc />
    public int Size => mpi.Size;

    /// <inheritdoc />
    public int LocalRank => mpi.LocalRank;

    /// <inheritdoc />
    public int LocalSize => mpi.LocalSize;

    /// <inheritdoc />
    public string Machine => mpi.Machine;

    /// <inheritdoc />
    public string Transport => $"NCCL for GPUs, {mpi.Transport}";

    /// <inheritdoc />
    public TimeSpan Waited => mpi.Waited;

    /// <inheritdoc />
    public long BytesSummed => mpi.BytesSummed + _bytes;

    /// <summary>Adds NCCL to a group whose processes have a GPU each.</summary>
    /// <param name="mpi">The processes.</param>
    /// <param name="device">The number of this one's GPU.</param>
    /// <exception cref="UserException">NCCL is missing or cannot start.</exception>
    public static NcclGroup Start(IProcessGroup mpi, int device)
    {
        try
        {
            Require(Nccl.cudaSetDevice(device) == 0, $"GPU {device} of {mpi.Machine} cannot be used");
            Nccl.UniqueId id;
            if (mpi.Rank == 0)
            {
                Check(Nccl.ncclGetUniqueId(&id));
            }

            using var bytes = torch.tensor(new ReadOnlySpan<byte>(&id, sizeof(Nccl.UniqueId)).ToArray());
            mpi.Broadcast(bytes);
            bytes.data<byte>().ToArray().CopyTo(new Span<byte>(&id, sizeof(Nccl.UniqueId)));
            nint communicator;
            Check(Nccl.ncclCommInitRank(&communicator, mpi.Size, id, mpi.Rank));
            return new(mpi, communicator);
        }
        catch (Exception exception) when (exception is DllNotFoundException or EntryPointNotFoundException)
        {
            throw new UserException(
                $"{mpi.Size} processes with a GPU each need NCCL, which is missing ({exception.Message.Split('\n')[0].TrimEnd('.')}): install NCCL 2 and the CUDA 12 runtime, or train with --device cpu.", exception);
        }
    }

    /// <inheritdoc />
    public void Barrier() => mpi.Barrier();

    /// <inheritdoc />
    public void Broadcast(Tensor tensor, int from = 0)
    {
        if (tensor.device_type != DeviceType.CUDA)
        {
            mpi.Broadcast(tensor, from);
            return;
        }

        using var dense = tensor.detach().contiguous();
        var address = Nccl.Address(dense);
        Check(Nccl.ncclBroadcast(address, address, (nuint)(dense.NumberOfElements * dense.ElementSize), Nccl.Bytes, from, communicator, 0));
        CopyBack(tensor, dense);
    }

    /// <inheritdoc />
    public void Sum(Tensor tensor)
    {
        if (tensor.device_type != DeviceType.CUDA)
        {
            mpi.Sum(tensor);
            return;
        }

        _bytes += tensor.NumberOfElements * tensor.ElementSize;
        using var dense = tensor.detach().contiguous();
        var address = Nccl.Address(dense);
        Check(Nccl.ncclAllReduce(address, address, (nuint)dense.NumberOfElements, Nccl.TypeOf(dense.dtype), Nccl.Add, communicator, 0));
        CopyBack(tensor, dense);
    }

    /// <inheritdoc />
    public void BeginSum(Tensor tensor)
    {
        if (tensor.device_type != DeviceType.CUDA || !tensor.is_contiguous())
        {
            mpi.BeginSum(tensor);
            return;
        }

        if (_stream == 0)
        {
            fixed (nint* stream = &_stream, signal = &_event)
            {
                CheckCuda(Nccl.cudaStreamCreateWithFlags(stream, Nccl.StreamNonBlocking));
                CheckCuda(Nccl.cudaEventCreateWithFlags(signal, Nccl.EventWithoutTiming));
            }
        }

        // It waits for what the default stream has been given so far, which computes the tensor.
        Follow(_stream, 0);
        _bytes += tensor.NumberOfElements * tensor.ElementSize;
        var address = Nccl.Address(tensor);
        Check(Nccl.ncclAllReduce(address, address, (nuint)tensor.NumberOfElements, Nccl.TypeOf(tensor.dtype), Nccl.Add, communicator, _stream));
    }

    /// <inheritdoc />
    public void EndSums()
    {
        mpi.EndSums();
        if (_stream != 0)
        {
            Follow(0, _stream);
        }
    }

    /// <inheritdoc />
    public Tensor Gather(Tensor tensor) => tensor.device_type != DeviceType.CUDA ? mpi.Gather(tensor) : TensorScope.Run(() =>
    {
        var mine = tensor.detach().contiguous();
        var lengths = mpi.GatherNumbers(mine.shape[0]).Select(length => (long)length[0]).ToArray();
        var all = torch.empty([lengths.Sum(), .. mine.shape[1..]], mine.dtype, mine.device);
        long first = 0;
        for (var rank = 0; rank < Size; first += lengths[rank++])
        {
            if (lengths[rank] > 0)
            {
                var part = all.narrow(0, first, lengths[rank]);
                if (rank == Rank)
                {
                    part.copy_(mine);
                }

                Broadcast(part, rank);
            }
        }

        return all;
    });

    /// <inheritdoc />
    public void Abort(int code) => mpi.Abort(code);

    /// <inheritdoc />
    public void Dispose()
    {
        _ = Nccl.ncclCommDestroy(communicator);
        mpi.Dispose();
    }

    private void Follow(nint second, nint first)
    {
        CheckCuda(Nccl.cudaEventRecord(_event, first));
        CheckCuda(Nccl.cudaStreamWaitEvent(second, _event, 0));
    }

    private static void CopyBack(Tensor tensor, Tensor dense)
    {
        if (!tensor.is_contiguous())
        {
            using var noGradient = torch.no_grad();
            tensor.copy_(dense);
        }
    }

    private static void Check(int result) =>
        Require(result == 0, result == 0 ? "" : Marshal.PtrToStringUTF8(Nccl.ncclGetErrorString(result)) ?? $"error {result}");

    private static void CheckCuda(int result) => Require(result == 0, $"the CUDA runtime reports error {result}");

    private static void Require(bool holds, string problem)
    {
        if (!holds)
        {
            throw new UserException($"NCCL cannot go on: {problem} (NCCL_DEBUG=INFO tells more).");
        }
    }
}

/// <summary>NCCL's and the CUDA runtime's functions.</summary>
internal static unsafe partial class Nccl
{
    /// <summary>Values of ncclDataType_t and ncclRedOp_t.</summary>
    public const int Bytes = 1, Add = 0;

    /// <summary>cudaStreamNonBlocking: does not wait for the default stream; cudaEventDisableTiming.</summary>
    public const uint StreamNonBlocking = 1, EventWithoutTiming = 2;

    private const string Library = "libnccl.so.2", Runtime = "libcudart.so.12";

    /// <summary>ncclUniqueId, 128 bytes.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 128)]
    public struct UniqueId
    {
        private byte _first;
    }

    /// <summary>The value of ncclDataType_t.</summary>
    public static int TypeOf(torch.ScalarType type) => type switch
    {
        torch.ScalarType.Int32 => 2,
        torch.ScalarType.Int64 => 4,
        torch.ScalarType.Float16 => 6,
        torch.ScalarType.Float32 => 7,
        torch.ScalarType.Float64 => 8,
        torch.ScalarType.BFloat16 => 9,
        _ => throw new ArgumentException($"NCCL cannot add up tensors of {type}.", nameof(type)),
    };

    /// <summary>Where a tensor's memory begins on the GPU.</summary>
    public static nint Address(Tensor tensor) => tensor.storage<byte>().data_ptr() + (nint)(tensor.storage_offset() * tensor.ElementSize);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    public static partial int ncclGetUniqueId(UniqueId* id);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    public static partial int ncclCommInitRank(nint* communicator, int processes, UniqueId id, int rank);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    public static partial int ncclAllReduce(nint from, nint to, nuint count, int type, int operation, nint communicator, nint stream);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    public static partial int ncclBroadcast(nint from, nint to, nuint count, int type, int root, nint communicator, nint stream);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    public static partial int ncclCommDestroy(nint communicator);

    [LibraryImport(Library)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    public static partial nint ncclGetErrorString(int result);

    [LibraryImport(Runtime)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    public static partial int cudaSetDevice(int device);

    [LibraryImport(Runtime)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    public static partial int cudaStreamCreateWithFlags(nint* stream, uint flags);

    [LibraryImport(Runtime)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    public static partial int cudaEventCreateWithFlags(nint* made, uint flags);

    [LibraryImport(Runtime)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    public static partial int cudaEventRecord(nint recorded, nint stream);

    [LibraryImport(Runtime)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    public static partial int cudaStreamWaitEvent(nint stream, nint recorded, uint flags);
}
