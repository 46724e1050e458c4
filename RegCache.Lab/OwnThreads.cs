namespace RegCache.Lab;

/// <summary>The threads of the kit's own loops.</summary>
internal static class OwnThreads
{
    /// <summary>As many as tensor operators have (<c>--threads</c>): one of several processes has a share of the machine's cores alone.</summary>
    public static ParallelOptions Options => new() { MaxDegreeOfParallelism = torch.get_num_threads() };
}
