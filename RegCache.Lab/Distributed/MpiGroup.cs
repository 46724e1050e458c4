using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;

namespace RegCache.Lab.Distributed;

/// <summary>
/// Several processes by MPI, on the memory that tensors have (Native/mpi.c). Tensors of a GPU go through the machine's memory; see
/// <see cref="NcclGroup"/> for those.
/// </summary>
public sealed unsafe class MpiGroup : IProcessGroup
{
    // Counts of MPI are ints; a part has at most this many elements, and at most 1 GiB, so that spans of its bytes end before 2 GiB.
    private const long MostElements = 1 << 27;

    // From so many processes on Open MPI sums round a ring, where each process sends least, unless values are to be replaced in place.
    private const int RingBegins = 4;

    private readonly List<(Tensor Values, Tensor Sums)> _begun = [];
    private long _ticks;
    private bool _isEnded;

    private MpiGroup(int[] place)
    {
        (Rank, Size, LocalRank, LocalSize) = (place[0], place[1], place[2], place[3]);
        var name = stackalloc byte[Mpi.NameLength];
        Check(Mpi.rcmpi_machine(name));
        Machine = Text(name);
        Transport = Mpi.Version() ?? "MPI";
    }

    /// <inheritdoc />
    public int Rank { get; }

    /// <inheritdoc />
    public int Size { get; }

    /// <inheritdoc />
    public int LocalRank { get; }

    /// <inheritdoc />
    public int LocalSize { get; }

    /// <inheritdoc />
    public string Machine { get; }

    /// <inheritdoc />
    public string Transport { get; }

    /// <inheritdoc />
    public TimeSpan Waited => Stopwatch.GetElapsedTime(0, _ticks);

    /// <inheritdoc />
    public long BytesSummed { get; private set; }

    /// <summary>Which MPI the kit was compiled with, in one line; null where it was not.</summary>
    public static string? Version => Mpi.Version();

    /// <summary>Joins the processes that the launcher has started.</summary>
    /// <exception cref="UserException">The kit was built without MPI, or MPI cannot start.</exception>
    internal static MpiGroup Start()
    {
        try
        {
            var place = new int[4];
            fixed (int* start = place)
            {
                Check(Mpi.rcmpi_start(start));
            }

            return new(place);
        }
        catch (Exception exception) when (exception is DllNotFoundException or EntryPointNotFoundException or BadImageFormatException)
        {
            throw new UserException(
                $"{Processes.Launched} processes were started, but this build has no MPI to join them: install openmpi-bin and libopenmpi-dev and build again (./lab setup; in a bundle ./install.sh), or start one process.",
                exception);
        }
    }

    /// <inheritdoc />
    public void Barrier() => Timed(Mpi.rcmpi_barrier);

    /// <inheritdoc />
    public void Broadcast(Tensor tensor, int from = 0) => InMemory(tensor, (address, count, type) => Mpi.rcmpi_broadcast((void*)address, count, type, from));

    /// <inheritdoc />
    public void Sum(Tensor tensor)
    {
        if (tensor.dtype is torch.ScalarType.BFloat16 or torch.ScalarType.Float16)
        {
            // MPI has no such number types.
            using var wide = tensor.to(torch.ScalarType.Float32);
            Sum(wide);
            tensor.copy_(wide);
            return;
        }

        BytesSummed += tensor.NumberOfElements * tensor.ElementSize;
        InMemory(tensor, (address, count, type) => Mpi.rcmpi_sum((void*)address, count, type), isNumbers: true);
    }

    /// <inheritdoc />
    public void BeginSum(Tensor tensor)
    {
        if (tensor.device_type != DeviceType.CPU || tensor.dtype is not (torch.ScalarType.Float32 or torch.ScalarType.Float64) || !tensor.is_contiguous())
        {
            Sum(tensor);
            return;
        }

        BytesSummed += tensor.NumberOfElements * tensor.ElementSize;
        using var scope = torch.NewDisposeScope();
        var values = tensor.detach().view(-1);
        var sums = Size < RingBegins ? values : torch.empty_like(values);
        var (type, _) = TypeOf(tensor, isNumbers: true);
        for (long first = 0; first < values.NumberOfElements; first += MostElements)
        {
            var count = Math.Min(MostElements, values.NumberOfElements - first);
            Timed(() => Mpi.rcmpi_begin_sum((void*)Address(values.narrow(0, first, count)), (void*)Address(sums.narrow(0, first, count)), (int)count, type));
        }

        _begun.Add((values.DetachFromDisposeScope(), sums.DetachFromDisposeScope()));
    }

    /// <inheritdoc />
    public void EndSums()
    {
        Timed(Mpi.rcmpi_end_sums);
        using var noGradient = torch.no_grad();
        foreach (var (values, sums) in _begun)
        {
            if (!ReferenceEquals(values, sums))
            {
                values.copy_(sums);
                sums.Dispose();
            }

            values.Dispose();
        }

        _begun.Clear();
    }

    /// <inheritdoc />
    public Tensor Gather(Tensor tensor) => TensorScope.Run(() =>
    {
        var mine = tensor.detach().cpu().contiguous();
        using var length = torch.zeros(Size, torch.ScalarType.Int64);
        length[Rank] = torch.tensor(mine.shape[0]);
        Sum(length);
        var lengths = length.data<long>().ToArray();
        long width = mine.shape.Skip(1).Aggregate(1L, (product, size) => product * size), total = lengths.Sum();
        var all = torch.empty([total, .. mine.shape[1..]], mine.dtype);
        var (type, units) = TypeOf(mine, isNumbers: false);
        if (total * width * units > int.MaxValue)
        {
            // Too long for one call: every process tells its own part.
            long first = 0;
            for (var rank = 0; rank < Size; first += lengths[rank++])
            {
                using var part = all.narrow(0, first, lengths[rank]);
                if (rank == Rank)
                {
                    part.copy_(mine);
                }

                Broadcast(part, rank);
            }
        }
        else if (total > 0)
        {
            int[] counts = [.. lengths.Select(count => (int)(count * width * units))];
            var starts = new int[Size];
            for (var rank = 1; rank < Size; rank++)
            {
                starts[rank] = starts[rank - 1] + counts[rank - 1];
            }

            Timed(() =>
            {
                fixed (int* begin = starts, many = counts)
                {
                    return Mpi.rcmpi_gather(counts[Rank] == 0 ? null : (void*)Address(mine), counts[Rank], (void*)Address(all), many, begin, type);
                }
            });
        }

        return all.to(tensor.device);
    });

    /// <inheritdoc />
    public void Abort(int code) => _ = Mpi.rcmpi_abort(code);

    /// <inheritdoc />
    public void Dispose()
    {
        if (!_isEnded)
        {
            _isEnded = true;
            Check(Mpi.rcmpi_end());
        }
    }

    /// <summary>Throws what MPI reported.</summary>
    private static void Check(int error)
    {
        if (error != 0)
        {
            var text = stackalloc byte[Mpi.TextLength];
            _ = Mpi.rcmpi_text(error, text);
            throw new UserException($"MPI cannot go on, mostly because another process has ended: {Text(text)}.");
        }
    }

    private static string Text(byte* text) => Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(text));

    private void Timed(Func<int> call)
    {
        var started = Stopwatch.GetTimestamp();
        Check(call());
        _ticks += Stopwatch.GetTimestamp() - started;
    }

    // Calls MPI on a tensor's memory, part by part; other devices' tensors, and those with gaps, go through a copy.
    private void InMemory(Tensor tensor, Func<nint, int, int, int> call, bool isNumbers = false)
    {
        if (tensor.device_type != DeviceType.CPU || !tensor.is_contiguous())
        {
            using var noGradient = torch.no_grad();
            using var copy = tensor.detach().cpu().contiguous();
            InMemory(copy, call, isNumbers);
            tensor.copy_(copy);
            return;
        }

        var (type, units) = TypeOf(tensor, isNumbers);
        using var scope = torch.NewDisposeScope();
        var flat = tensor.detach().view(-1);
        var most = MostElements / units;
        for (long first = 0; first < flat.NumberOfElements; first += most)
        {
            var part = flat.narrow(0, first, Math.Min(most, flat.NumberOfElements - first));
            Timed(() => call(Address(part), (int)(part.NumberOfElements * units), type));
        }
    }

    // A type of mpi.c, and how many of it make up an element: what is only moved may be moved as bytes.
    private static (int Type, int Units) TypeOf(Tensor tensor, bool isNumbers) => tensor.dtype switch
    {
        torch.ScalarType.Int32 => (Mpi.Int32, 1),
        torch.ScalarType.Int64 => (Mpi.Int64, 1),
        torch.ScalarType.Float32 => (Mpi.Float32, 1),
        torch.ScalarType.Float64 => (Mpi.Float64, 1),
        _ when !isNumbers => (Mpi.Bytes, (int)tensor.ElementSize),
        var other => throw new ArgumentException($"MPI cannot add up tensors of {other}.", nameof(tensor)),
    };

    // A tensor's memory stays where it is; the caller keeps the tensor.
    private static nint Address(Tensor tensor)
    {
        fixed (byte* start = tensor.bytes)
        {
            return (nint)start;
        }
    }
}
