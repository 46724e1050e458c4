namespace RegCache.Lab.Quantization.Ptq4Vit;

/// <summary>
/// Finds the candidate with the smallest error over a set of images without finishing the others: errors only grow from
/// image to image, so a candidate whose error on a part of the images exceeds the best complete one cannot win. The
/// winner, and ties, are those of the full search.
/// </summary>
internal static class PrunedSearch
{
    /// <summary>Runs the search.</summary>
    /// <param name="candidates">Number of candidates.</param>
    /// <param name="images">Number of images.</param>
    /// <param name="firstPart">Images that all candidates are tried on; later parts double.</param>
    /// <param name="largestPart">Most images in a part.</param>
    /// <param name="errors">Errors of some candidates on a range of images: (first image, images, candidates).</param>
    /// <returns>The index of the best candidate, the first of equals; -1 when no error is finite.</returns>
    public static int Best(
        int candidates, long images, long firstPart, long largestPart, Func<long, long, int[], double[]> errors)
    {
        var parts = Parts(images, firstPart, largestPart);
        var totals = new double[candidates];
        void Add(int part, int[] chosen)
        {
            var found = errors(parts[part].First, parts[part].Count, chosen);
            for (var index = 0; index < chosen.Length; index++)
            {
                totals[chosen[index]] += found[index];
            }
        }

        Add(0, [.. Enumerable.Range(0, candidates)]);
        var leader = FirstSmallest(totals, Enumerable.Range(0, candidates));
        if (leader < 0)
        {
            return -1;
        }

        for (var part = 1; part < parts.Count; part++)
        {
            Add(part, [leader]);
        }

        var alive = Enumerable.Range(0, candidates).Where(candidate => candidate != leader).ToArray();
        for (var part = 1; part < parts.Count; part++)
        {
            alive = [.. alive.Where(candidate => totals[candidate] <= totals[leader])];
            if (alive.Length > 0)
            {
                Add(part, alive);
            }
        }

        return FirstSmallest(totals, alive.Append(leader).Order());
    }

    private static List<(long First, long Count)> Parts(long images, long firstPart, long largestPart)
    {
        var parts = new List<(long First, long Count)>();
        var size = Math.Clamp(firstPart, 1, largestPart);
        for (long first = 0; first < images; first += parts[^1].Count)
        {
            parts.Add((first, Math.Min(size, images - first)));
            size = parts.Count == 1 ? size : Math.Min(2 * size, largestPart);
        }

        return parts;
    }

    private static int FirstSmallest(double[] totals, IEnumerable<int> candidates)
    {
        var best = -1;
        foreach (var candidate in candidates)
        {
            if (double.IsFinite(totals[candidate]) && (best < 0 || totals[candidate] < totals[best]))
            {
                best = candidate;
            }
        }

        return best;
    }
}
