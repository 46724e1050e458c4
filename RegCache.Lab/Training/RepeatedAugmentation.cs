namespace RegCache.Lab.Training;

/// <summary>
/// The order of the images of an epoch with repeated augmentation (Berman et al. 2019, arXiv:1902.05509; Hoffer et al. 2020,
/// arXiv:1901.09335), as DeiT samples it: every image comes several times in a row, so that workers that take turns see one image under
/// different random changes, and only as many are used as the set has, rounded down to 256.
/// </summary>
public static class RepeatedAugmentation
{
    /// <summary>How often an image comes.</summary>
    public const int Repeats = 3;

    private const int Rounding = 256;

    /// <summary>The images of one worker in an epoch.</summary>
    /// <param name="order">The epoch's order of all images.</param>
    /// <param name="rank">The worker, from 0.</param>
    /// <param name="workers">Number of workers W.</param>
    /// <param name="repeats">How often an image comes.</param>
    public static int[] Indices(IReadOnlyList<int> order, int rank, int workers, int repeats = Repeats) =>
        [.. Positions(order.Count, rank, workers, repeats).Select(position => order[position / repeats])];

    /// <summary>Where these are in the list in which every image stands so often in a row.</summary>
    /// <param name="images">Number of images.</param>
    /// <param name="rank">The worker, from 0.</param>
    /// <param name="workers">Number of workers W.</param>
    /// <param name="repeats">How often an image comes.</param>
    public static IEnumerable<int> Positions(int images, int rank, int workers, int repeats = Repeats)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(workers, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)rank, (uint)workers, nameof(rank));

        // Beyond the end the list begins again.
        return Enumerable.Range(0, Used(images, workers)).Select(position => (rank + (position * workers)) % (images * repeats));
    }

    /// <summary>How many images a worker uses of an epoch.</summary>
    public static int Used(int images, int workers) => images / Rounding * Rounding / workers;
}
