namespace RegCache.Lab.Tests.Notebooks;

/// <summary>Counts the objects that are alive, as a tensor counts native memory.</summary>
public sealed class Tracked
{
    private static int _alive;

    /// <summary>Creates one more.</summary>
    public Tracked() => Interlocked.Increment(ref _alive);

    /// <summary>One less.</summary>
    ~Tracked() => Interlocked.Decrement(ref _alive);

    /// <summary>How many there are.</summary>
    public static int Alive => Volatile.Read(ref _alive);
}
