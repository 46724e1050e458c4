using RegCache.Lab.Distributed;

namespace RegCache.Lab.Tests.Distributed;

/// <summary>Processes played by the threads of this one, so that most tests need no launcher.</summary>
internal sealed class ThreadGroup : IProcessGroup
{
    private readonly Shared _shared;

    private ThreadGroup(Shared shared, int rank) => (_shared, Rank) = (shared, rank);

    public int Rank { get; }

    public int Size => _shared.Slots.Length;

    public int LocalRank => Rank;

    public int LocalSize => Size;

    public string Machine => $"machine {Rank}";

    public string Transport => "threads";

    public TimeSpan Waited { get; private set; }

    public long BytesSummed { get; private set; }

    /// <summary>Runs the same function as every process, and gives their results.</summary>
    public static T[] Run<T>(int size, Func<IProcessGroup, T> body)
    {
        using var shared = new Shared(size);
        var results = new T[size];
        var errors = new Exception?[size];
        var threads = Enumerable.Range(0, size).Select(rank => new Thread(() =>
        {
            try
            {
                results[rank] = body(new ThreadGroup(shared, rank));
            }
            catch (Exception exception)
            {
                errors[rank] = exception;
                shared.Ended.Cancel();
            }
        })).ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => thread.Join());
        return (errors.FirstOrDefault(error => error is not null and not OperationCanceledException) ?? errors.FirstOrDefault(error => error is not null)) is { } first
            ? throw first
            : results;
    }

    public void Barrier()
    {
        var started = TimeProvider.System.GetTimestamp();
        _shared.Barrier.SignalAndWait(_shared.Ended.Token);
        Waited += TimeProvider.System.GetElapsedTime(started);
    }

    public void Broadcast(Tensor tensor, int from = 0) => Exchange(tensor, () => _shared.Slots[from]!.clone(), tensor);

    public void Sum(Tensor tensor)
    {
        BytesSummed += tensor.NumberOfElements * tensor.ElementSize;
        Exchange(tensor, () => _shared.Slots.Select(part => part!).Aggregate((sum, part) => sum + part), tensor);
    }

    public Tensor Gather(Tensor tensor) => Exchange(tensor, () => torch.cat([.. _shared.Slots.Select(part => part!)], 0), null);

    public void Abort(int code) => _shared.Ended.Cancel();

    public void Dispose()
    {
    }

    private Tensor Exchange(Tensor tensor, Func<Tensor> make, Tensor? target) => TensorScope.Run(() =>
    {
        using var noGradient = torch.no_grad();
        _shared.Slots[Rank] = tensor.detach();
        Barrier();
        var made = make();
        Barrier();
        target?.copy_(made);
        Barrier();
        return made;
    });

    private sealed class Shared(int size) : IDisposable
    {
        public Tensor?[] Slots { get; } = new Tensor?[size];

        public Barrier Barrier { get; } = new(size);

        public CancellationTokenSource Ended { get; } = new();

        public void Dispose()
        {
            Barrier.Dispose();
            Ended.Dispose();
        }
    }
}

/// <summary>Two processes, of which the other one has ended.</summary>
internal sealed class LostGroup : IProcessGroup
{
    public int Rank => 0;

    public int Size => 2;

    public int LocalRank => 0;

    public int LocalSize => 2;

    public string Machine => "machine";

    public string Transport => "nothing";

    public TimeSpan Waited => TimeSpan.Zero;

    public long BytesSummed => 0;

    public void Barrier() => throw Lost();

    public void Broadcast(Tensor tensor, int from = 0) => throw Lost();

    public void Sum(Tensor tensor) => throw Lost();

    public Tensor Gather(Tensor tensor) => throw Lost();

    public void Abort(int code)
    {
    }

    public void Dispose()
    {
    }

    private static UserException Lost() => new("lost");
}
