using System.Runtime.ExceptionServices;

namespace RegCache.Lab.Distributed;

/// <summary>
/// Every process's gradients become their mean over all processes, those of later layers while the backward pass still computes those of earlier
/// ones (Li et al. 2020, "PyTorch Distributed", section 3.2.3; docs/distributed.md).
/// </summary>
/// <remarks>
/// TorchSharp has no hooks on parameters that would tell when a gradient is there. A mark on the activations between two layers is a moment to look: the
/// autograd engine runs what the forward pass did last first, so when the backward pass comes to a mark, everything behind it has its gradients. A
/// parameter that is used in several layers gets its gradient when the last of them is done, so one that is there is complete.
/// </remarks>
/// <param name="group">The processes.</param>
/// <param name="parameters">What is trained, in the same order everywhere; those without a gradient are left out.</param>
public sealed class GradientAverage(IProcessGroup group, IReadOnlyList<Tensor> parameters)
{
    /// <summary>Elements of a bucket: 16 MiB of float32, long enough to hide the latency of a network.</summary>
    private const long BucketElements = 1 << 22;

    /// <summary>Elements from which a gradient is summed where it lies.</summary>
    private const long InPlaceElements = 1 << 18;

    private readonly List<Bucket> _sent = [];
    private IReadOnlyList<Tensor>? _waiting;
    private Exception? _failure;

    /// <summary>
    /// From now on marks count: no later backward pass adds to a gradient that is there, as those of several micro-batches would. Passes of
    /// towers that share no parameter may follow each other.
    /// </summary>
    public void Begin() => _waiting = group.Size == 1 ? null : parameters;

    /// <summary>Marks a place between two layers. One process's tensor goes through as it is.</summary>
    /// <param name="activations">What leaves one layer and enters the next, of any shape.</param>
    /// <returns>The same values, through which gradients pass.</returns>
    public Tensor Mark(Tensor activations) =>
        group.Size > 1 && torch.is_grad_enabled() && activations.requires_grad ? Marker.apply(activations, this) : activations;

    /// <summary>The backward pass has come to a mark.</summary>
    public void Passed()
    {
        // Exceptions cannot cross the autograd engine, which calls this.
        try
        {
            if (_waiting is not null && _failure is null)
            {
                _waiting = Send(_waiting);
            }
        }
        catch (Exception exception)
        {
            _failure = exception;
        }
    }

    /// <summary>Averages what is left after the backward pass, and waits for all.</summary>
    /// <exception cref="UserException">Another process has ended.</exception>
    public void End()
    {
        if (group.Size == 1)
        {
            return;
        }

        try
        {
            if (_failure is not null)
            {
                ExceptionDispatchInfo.Throw(_failure);
            }

            Send(_waiting ?? parameters);
            group.EndSums();
            _sent.ForEach(bucket => bucket.Take(group.Size));
        }
        finally
        {
            _sent.ForEach(bucket => bucket.Dispose());
            _sent.Clear();
            (_waiting, _failure) = (null, null);
        }
    }

    // Begins to sum the gradients that are there; returns the parameters that have none yet.
    private List<Tensor> Send(IReadOnlyList<Tensor> candidates)
    {
        var (waiting, small, elements) = (new List<Tensor>(), new List<Tensor>(), 0L);
        void Together()
        {
            if (small.Count > 0)
            {
                Begin(Bucket.Flat(small));
                (small, elements) = ([], 0);
            }
        }

        foreach (var parameter in candidates)
        {
            if (parameter.grad is not { } gradient)
            {
                waiting.Add(parameter);
                continue;
            }

            gradient.DetachFromDisposeScope();
            if (gradient.NumberOfElements >= InPlaceElements && gradient.is_contiguous())
            {
                Begin(Bucket.Of(gradient));
                continue;
            }

            if (small.Count > 0 && (elements + gradient.NumberOfElements > BucketElements || small[0].dtype != gradient.dtype))
            {
                Together();
            }

            small.Add(gradient);
            elements += gradient.NumberOfElements;
        }

        Together();
        return waiting;
    }

    private void Begin(Bucket bucket)
    {
        _sent.Add(bucket);
        group.BeginSum(bucket.Values);
    }

    // Gradients that travel together, or a large one by itself.
    private sealed class Bucket(Tensor values, List<Tensor> gradients) : IDisposable
    {
        public Tensor Values => values;

        public static Bucket Of(Tensor gradient) => new(gradient, []);

        public static Bucket Flat(List<Tensor> gradients)
        {
            using var noGradient = torch.no_grad();
            using var scope = torch.NewDisposeScope();
            return new(torch.cat([.. gradients.Select(gradient => gradient.reshape(-1))], 0).DetachFromDisposeScope(), gradients);
        }

        public void Take(int processes)
        {
            using var noGradient = torch.no_grad();
            using var scope = torch.NewDisposeScope();
            values.div_(processes);
            long first = 0;
            foreach (var gradient in gradients)
            {
                gradient.copy_(values.narrow(0, first, gradient.NumberOfElements).view(gradient.shape));
                first += gradient.NumberOfElements;
            }
        }

        public void Dispose()
        {
            values.Dispose();
            gradients.ForEach(gradient => gradient.Dispose());
        }
    }

    private sealed class Marker : torch.autograd.SingleTensorFunction<Marker>
    {
        private const string Average = "average";

        public override string Name => nameof(GradientAverage);

        public override Tensor forward(torch.autograd.AutogradContext ctx, params object[] vars)
        {
            ctx.save_data(Average, vars[1]);
            return ((Tensor)vars[0]).alias();
        }

        public override List<Tensor> backward(torch.autograd.AutogradContext ctx, Tensor grad_output)
        {
            ((GradientAverage)ctx.get_data(Average)).Passed();
            return [grad_output.alias(), null!];
        }
    }
}
