namespace RegCache.Lab.Distributed;

/// <summary>
/// The processes that do one job together, and the collective operations that they share (docs/distributed.md). Every process calls the same
/// operations in the same order; each waits for the others. Results are the same bits on every process.
/// </summary>
public interface IProcessGroup : IDisposable
{
    /// <summary>The number of this process, from 0.</summary>
    int Rank { get; }

    /// <summary>How many processes there are.</summary>
    int Size { get; }

    /// <summary>The number of this process among those on its machine, from 0: which GPU it takes.</summary>
    int LocalRank { get; }

    /// <summary>How many of the processes are on this machine.</summary>
    int LocalSize { get; }

    /// <summary>The machine's name.</summary>
    string Machine { get; }

    /// <summary>What carries the messages, for people: <c>Open MPI v4.1.4</c>.</summary>
    string Transport { get; }

    /// <summary>How long this process has spent in operations so far: moving data, and waiting for slower processes.</summary>
    TimeSpan Waited { get; }

    /// <summary>Bytes that this process has handed to <see cref="Sum"/> and <see cref="BeginSum"/> so far.</summary>
    long BytesSummed { get; }

    /// <summary>Returns when all processes have called it.</summary>
    void Barrier();

    /// <summary>Every process's tensor takes the values of one process's.</summary>
    /// <param name="tensor">A contiguous tensor of the same shape and type everywhere.</param>
    /// <param name="from">The process whose values count.</param>
    void Broadcast(Tensor tensor, int from = 0);

    /// <summary>Every process's tensor becomes the sum over all processes.</summary>
    /// <param name="tensor">A contiguous tensor of the same shape and type everywhere.</param>
    void Sum(Tensor tensor);

    /// <summary>Begins to make every process's tensor the sum over all processes, beside what the process does next.</summary>
    /// <param name="tensor">A contiguous tensor of the same shape and type everywhere; it is left alone until <see cref="EndSums"/>.</param>
    void BeginSum(Tensor tensor) => Sum(tensor);

    /// <summary>Returns when all sums that have begun are there.</summary>
    void EndSums()
    {
    }

    /// <summary>All processes' tensors, one behind the other.</summary>
    /// <param name="tensor">A tensor [n,...]; n may differ between processes, and may be 0.</param>
    /// <returns>[N,...], without history, in the order of the processes.</returns>
    Tensor Gather(Tensor tensor);

    /// <summary>Ends all processes at once, because this one cannot go on.</summary>
    /// <param name="code">The exit code.</param>
    void Abort(int code);
}

/// <summary>One process by itself: nothing to wait for, nothing to copy.</summary>
public sealed class SingleProcess : IProcessGroup
{
    /// <summary>The one there is.</summary>
    public static SingleProcess Instance { get; } = new();

    private SingleProcess()
    {
    }

    /// <inheritdoc />
    public int Rank => 0;

    /// <inheritdoc />
    public int Size => 1;

    /// <inheritdoc />
    public int LocalRank => 0;

    /// <inheritdoc />
    public int LocalSize => 1;

    /// <inheritdoc />
    public string Machine => Environment.MachineName;

    /// <inheritdoc />
    public string Transport => "one process";

    /// <inheritdoc />
    public TimeSpan Waited => TimeSpan.Zero;

    /// <inheritdoc />
    public long BytesSummed => 0;

    /// <inheritdoc />
    public void Barrier()
    {
    }

    /// <inheritdoc />
    public void Broadcast(Tensor tensor, int from = 0)
    {
    }

    /// <inheritdoc />
    public void Sum(Tensor tensor)
    {
    }

    /// <inheritdoc />
    public Tensor Gather(Tensor tensor) => tensor.detach();

    /// <inheritdoc />
    public void Abort(int code) => Environment.Exit(code);

    /// <inheritdoc />
    public void Dispose()
    {
    }
}

/// <summary>The processes that a launcher (<c>mpirun</c>, <c>srun</c>) has started together with this one.</summary>
public static class Processes
{
    // Open MPI, MPICH and those made of it, and SLURM inside a step; SLURM_NTASKS is also set where no step has begun.
    private static readonly (string Size, string Rank)[] _launchers =
    [
        ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK"), ("PMI_SIZE", "PMI_RANK"), ("SLURM_STEP_NUM_TASKS", "SLURM_PROCID"),
    ];

    private static readonly Lock _gate = new();
    private static IProcessGroup? _current;

    /// <summary>How many processes the launcher says it has started; 1 without one. Loads nothing.</summary>
    public static int Launched => Announced().Size;

    /// <summary>The number that the launcher gave to this process. Loads nothing.</summary>
    public static int LaunchedRank => Announced().Rank;

    /// <summary>
    /// All processes of the job. One process does without MPI; of several, each gets there when all of them have called this.
    /// </summary>
    /// <exception cref="UserException">Several were started, and MPI is missing or does not see them.</exception>
    public static IProcessGroup Current
    {
        get
        {
            lock (_gate)
            {
                return _current ??= Launched == 1 ? SingleProcess.Instance : Checked(MpiGroup.Start());
            }
        }
    }

    /// <summary>Whether this process writes the job's files and speaks for it.</summary>
    public static bool IsFirst => LaunchedRank == 0;

    /// <summary>The share of the machine's cores that is this process's: all that it may use, unless other processes of the job may use the same ones.</summary>
    /// <remarks>A launcher that binds processes to cores has shared them out already.</remarks>
    public static int Cores => Launched == 1 ? Environment.ProcessorCount : Math.Max(1, Math.Min(Environment.ProcessorCount, AllCores() / Current.LocalSize));

    /// <summary>
    /// The GPU of this process, by its number on the machine; a launcher may also have left it a single one to see. Tensors of GPUs then travel by
    /// NCCL.
    /// </summary>
    /// <exception cref="UserException">The machine has too few, or NCCL is missing.</exception>
    public static torch.Device TakeGpu()
    {
        if (Launched == 1)
        {
            return torch.CUDA;
        }

        var (group, devices) = (Current, torch.cuda.device_count());
        var index = devices == 1 ? 0 : group.LocalRank;
        if (index >= devices || (devices == 1 && group.LocalSize > 1 && Environment.GetEnvironmentVariable("CUDA_VISIBLE_DEVICES") is null))
        {
            throw new UserException($"{group.LocalSize} processes were started on {group.Machine}, which has {devices} GPU{(devices == 1 ? "" : "s")}; start one a GPU.");
        }

        lock (_gate)
        {
            _current = group is NcclGroup ? group : NcclGroup.Start(group, index);
        }

        return new torch.Device(DeviceType.CUDA, index);
    }

    /// <summary>Ends all processes at once; does nothing where MPI has not been started.</summary>
    public static void Abort(int code)
    {
        // Not under the lock, which a process may hold while it waits for others.
        if (_current is { Size: > 1 } group)
        {
            group.Abort(code);
        }
    }

    /// <summary>Ends the job's MPI, when all processes have come to their end.</summary>
    public static void End()
    {
        lock (_gate)
        {
            _current?.Dispose();
            _current = SingleProcess.Instance;
        }
    }

    private static (int Size, int Rank) Announced()
    {
        foreach (var (size, rank) in _launchers)
        {
            if (Number(size) is { } processes and > 1)
            {
                return (processes, Number(rank) ?? 0);
            }
        }

        return (1, 0);
    }

    private static int? Number(string variable) => int.TryParse(Environment.GetEnvironmentVariable(variable), out var number) && number >= 0 ? number : null;

    private static MpiGroup Checked(MpiGroup group)
    {
        if (group.Size == Launched)
        {
            return group;
        }

        var (seen, transport) = (group.Size, group.Transport);
        group.Dispose();
        throw new UserException(
            $"{Launched} processes were started, but {transport} sees {seen}: start them with the mpirun of that MPI, or with srun --mpi=pmix (srun --mpi=list tells what there is).");
    }

    // Environment.ProcessorCount counts those that this process is bound to.
    private static int AllCores()
    {
        const string file = "/sys/devices/system/cpu/online";
        try
        {
            var count = File.ReadAllText(file).Trim().Split(',').Select(range => range.Split('-'))
                .Sum(ends => int.Parse(ends[^1]) - int.Parse(ends[0]) + 1);
            return Math.Max(count, Environment.ProcessorCount);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or FormatException)
        {
            return Environment.ProcessorCount;
        }
    }
}
