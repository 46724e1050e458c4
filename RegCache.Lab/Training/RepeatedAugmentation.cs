namespace RegCache.Lab.Training;

/// <summary>
/// The order of the images of an epoch with repeated augmentation (Berman et al. 2019, arXiv:1902.05509; Hoffer et al. 2020,
/// arXiv:1901.09335), as DeiT samples it: every image comes several times in a row, so that workers that take turns see one image under
/// different random changes, and only as many are used as the set has, rounded down to 256.
/// </summary>
public static class RepeatedAugmentation
{
    private const int Rounding = 256;

    /// <summary>The images of one worker in an epoch.</summary>
    /// <param name="order">The epoch's order of all images.</param>
    /// <param name="rank">The worker, from 0.</param>
    /// <param name="workers">Number of workers W.</param>
    /// <param name="repeats">How often an image comes.</param>
    public static int[] Indices(IReadOnlyList<int> order, int rank, int workers, int repeats = 3)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(workers, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)rank, (uint)workers, nameof(rank));
        var used = order.Count / Rounding * Rounding / workers;
        var all = order.Count * repeats;

        // Beyond the end the list begins again.
        return [.. Enumerable.Range(0, used).Select(position => order[(rank + (position * workers)) % all / repeats])];
    }
}
