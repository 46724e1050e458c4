namespace RegCache.Lab.Distributed;

/// <summary>What is made of a group's operations: means, numbers, and an operation that gradients pass.</summary>
public static class Collectives
{
    /// <summary>Every process's tensor becomes the mean over all processes.</summary>
    /// <param name="group">The processes.</param>
    /// <param name="tensor">A contiguous tensor of floating-point numbers.</param>
    public static void Mean(this IProcessGroup group, Tensor tensor)
    {
        if (group.Size > 1)
        {
            group.Sum(tensor);
            tensor.div_(group.Size);
        }
    }

    /// <summary>The sums over all processes of some numbers.</summary>
    public static double[] SumNumbers(this IProcessGroup group, params double[] numbers)
    {
        if (group.Size == 1)
        {
            return numbers;
        }

        using var tensor = torch.tensor(numbers);
        group.Sum(tensor);
        return tensor.data<double>().ToArray();
    }

    /// <summary>The sums over all processes of some counts, exactly.</summary>
    public static long[] SumCounts(this IProcessGroup group, params long[] counts)
    {
        if (group.Size == 1)
        {
            return counts;
        }

        using var tensor = torch.tensor(counts);
        group.Sum(tensor);
        return tensor.data<long>().ToArray();
    }

    /// <summary>Whether it holds on any process.</summary>
    public static bool Any(this IProcessGroup group, bool holds) => group.Size == 1 ? holds : group.SumCounts(holds ? 1 : 0)[0] > 0;

    /// <summary>The numbers of every process, in the order of the processes.</summary>
    public static double[][] GatherNumbers(this IProcessGroup group, params double[] numbers)
    {
        if (group.Size == 1)
        {
            return [numbers];
        }

        using var own = torch.tensor(numbers, [1, numbers.Length]);
        using var all = group.Gather(own);
        return [.. all.data<double>().ToArray().Chunk(numbers.Length)];
    }

    /// <summary>A text of every process, in the order of the processes.</summary>
    public static string[] GatherTexts(this IProcessGroup group, string text)
    {
        if (group.Size == 1)
        {
            return [text];
        }

        var bytes = System.Text.Encoding.UTF8.GetBytes(text);
        var lengths = group.GatherNumbers(bytes.Length);
        using var own = torch.tensor(bytes);
        using var all = group.Gather(own);
        var (content, first) = (all.data<byte>().ToArray(), 0);
        return [.. lengths.Select(length =>
        {
            var part = System.Text.Encoding.UTF8.GetString(content, first, (int)length[0]);
            first += (int)length[0];
            return part;
        })];
    }

    /// <summary>A text of the first process, for all.</summary>
    public static string FromFirst(this IProcessGroup group, string text) => group.GatherTexts(group.Rank == 0 ? text : "")[0];

    /// <summary>One number of the first process, for all.</summary>
    public static double FromFirst(this IProcessGroup group, double number)
    {
        if (group.Size == 1)
        {
            return number;
        }

        using var tensor = torch.tensor(number);
        group.Broadcast(tensor);
        return tensor.item<double>();
    }

    /// <summary>Every process's tensors take the values of the first process's.</summary>
    /// <param name="group">The processes.</param>
    /// <param name="tensors">Tensors of the same shapes and types in the same order everywhere.</param>
    public static void BroadcastAll(this IProcessGroup group, IEnumerable<Tensor> tensors)
    {
        if (group.Size > 1)
        {
            using var noGradient = torch.no_grad();
            foreach (var tensor in tensors)
            {
                group.Broadcast(tensor);
            }
        }
    }

    /// <summary>
    /// The sum over all processes, through which gradients pass: each process's part gets the sum of all processes' gradients. With
    /// gradients of parameters that are averaged afterwards, this is the gradient of the mean of all processes' losses.
    /// </summary>
    /// <param name="group">The processes.</param>
    /// <param name="part">This process's part.</param>
    public static Tensor SumWithGradient(this IProcessGroup group, Tensor part) =>
        group.Size == 1 ? part.alias()
        : torch.is_grad_enabled() && part.requires_grad ? GradientSum.apply(part, group)
        : GradientSum.Summed(group, part);

    /// <summary>
    /// The mean over all processes of a value that enters a function which every process computes alike. Gradients pass as if it were the process's
    /// own value: averaged afterwards, they are those of the mean.
    /// </summary>
    /// <param name="group">The processes.</param>
    /// <param name="part">This process's value.</param>
    public static Tensor MeanForAll(this IProcessGroup group, Tensor part)
    {
        if (group.Size == 1)
        {
            return part.alias();
        }

        return TensorScope.Run(() =>
        {
            var (own, mean) = (part.detach(), part.detach().clone().contiguous());
            group.Mean(mean);
            return part + (mean - own);
        });
    }

    private sealed class GradientSum : torch.autograd.SingleTensorFunction<GradientSum>
    {
        private const string Group = "group";

        public override string Name => nameof(GradientSum);

        public override Tensor forward(torch.autograd.AutogradContext ctx, params object[] vars)
        {
            var group = (IProcessGroup)vars[1];
            ctx.save_data(Group, group);
            return Summed(group, (Tensor)vars[0]);
        }

        public override List<Tensor> backward(torch.autograd.AutogradContext ctx, Tensor grad_output) =>
            [Summed((IProcessGroup)ctx.get_data(Group), grad_output), null!];

        public static Tensor Summed(IProcessGroup group, Tensor tensor)
        {
            var sum = tensor.detach().clone().contiguous();
            group.Sum(sum);
            return sum;
        }
    }
}
