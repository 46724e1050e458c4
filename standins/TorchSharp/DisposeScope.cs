namespace TorchSharp;

/// <remarks>
/// A scope belongs to the thread that opened it. Tensors know their scope and their place in it, so that joining and
/// leaving cost the same however many the scope holds.
/// </remarks>
public sealed class DisposeScope : IDisposable
{
    [ThreadStatic]
    private static DisposeScope? current;

    private List<IDisposable> members = [];
    private readonly DisposeScope? outer;
    private bool ended;

    internal DisposeScope()
    {
        outer = current;
        current = this;
    }

    public int DisposablesCount => members.Count;

    public IReadOnlyList<IDisposable> DisposablesView => [.. members];

    internal static DisposeScope? Current => current;

    public void Attach(IDisposable disposable)
    {
        if (disposable is torch.Tensor tensor)
        {
            tensor.scope?.Remove(tensor);
            Add(tensor);
        }
        else if (!members.Contains(disposable))
        {
            members.Add(disposable);
        }
    }

    public void Attach(params IDisposable[] disposables) => Attach((IEnumerable<IDisposable>)disposables);

    public IReadOnlyList<IDisposable> Attach(IEnumerable<IDisposable> disposables)
    {
        List<IDisposable> attached = [.. disposables];
        attached.ForEach(Attach);
        return attached;
    }

    public bool Contains(IDisposable disposable) =>
        disposable is torch.Tensor tensor ? tensor.scope == this : members.Contains(disposable);

    public T MoveToOuter<T>(T disposable)
        where T : IDisposable
    {
        Move(disposable, outer);
        return disposable;
    }

    public (T1 first, T2 second) MoveToOuter<T1, T2>(T1 first, T2 second)
        where T1 : IDisposable
        where T2 : IDisposable => (MoveToOuter(first), MoveToOuter(second));

    public (T1 first, T2 second, T3 third) MoveToOuter<T1, T2, T3>(T1 first, T2 second, T3 third)
        where T1 : IDisposable
        where T2 : IDisposable
        where T3 : IDisposable => (MoveToOuter(first), MoveToOuter(second), MoveToOuter(third));

    public void MoveToOuter(params IDisposable[] disposables) => MoveToOuter((IEnumerable<IDisposable>)disposables);

    public void MoveToOuter(IEnumerable<IDisposable> disposables)
    {
        foreach (var disposable in disposables)
        {
            Move(disposable, outer);
        }
    }

    public T MoveToOther<T>(DisposeScope? scope, T disposable)
        where T : IDisposable
    {
        Move(disposable, scope);
        return disposable;
    }

    public void MoveToOther(DisposeScope? scope, params IDisposable[] disposables) =>
        MoveToOther(scope, (IEnumerable<IDisposable>)disposables);

    public void MoveToOther(DisposeScope? scope, IEnumerable<IDisposable> disposables)
    {
        foreach (var disposable in disposables)
        {
            Move(disposable, scope);
        }
    }

    public T Detach<T>(T disposable)
        where T : IDisposable
    {
        Move(disposable, null);
        return disposable;
    }

    public (T1 first, T2 second) Detach<T1, T2>(T1 first, T2 second)
        where T1 : IDisposable
        where T2 : IDisposable => (Detach(first), Detach(second));

    public (T1 first, T2 second, T3 third) Detach<T1, T2, T3>(T1 first, T2 second, T3 third)
        where T1 : IDisposable
        where T2 : IDisposable
        where T3 : IDisposable => (Detach(first), Detach(second), Detach(third));

    public void Detach(params IDisposable[] disposables) => Detach((IEnumerable<IDisposable>)disposables);

    public void Detach(IEnumerable<IDisposable> disposables)
    {
        foreach (var disposable in disposables)
        {
            Move(disposable, null);
        }
    }

    public void DisposeEverything() => DisposeEverythingBut([]);

    public void DisposeEverythingBut(IEnumerable<IDisposable> inKeep)
    {
        HashSet<IDisposable> keep = new(inKeep, ReferenceEqualityComparer.Instance);
        foreach (var member in TakeAll())
        {
            if (keep.Contains(member))
            {
                Attach(member);
            }
            else
            {
                member.Dispose();
            }
        }
    }

    public void DisposeEverythingBut(params IDisposable[] keep) => DisposeEverythingBut((IEnumerable<IDisposable>)keep);

    public T DisposeEverythingBut<T>(T keep)
        where T : IDisposable
    {
        DisposeEverythingBut((IEnumerable<IDisposable>)[keep]);
        return keep;
    }

    public (T1 first, T2 second) DisposeEverythingBut<T1, T2>(T1 first, T2 second)
        where T1 : IDisposable
        where T2 : IDisposable
    {
        DisposeEverythingBut((IEnumerable<IDisposable>)[first, second]);
        return (first, second);
    }

    public (T1 first, T2 second, T3 third) DisposeEverythingBut<T1, T2, T3>(T1 first, T2 second, T3 third)
        where T1 : IDisposable
        where T2 : IDisposable
        where T3 : IDisposable
    {
        DisposeEverythingBut((IEnumerable<IDisposable>)[first, second, third]);
        return (first, second, third);
    }

    public void MarkAsDisposed(IDisposable disposable) => Remove(disposable);

    public void Dispose()
    {
        if (ended)
        {
            return;
        }

        ended = true;
        foreach (var member in TakeAll())
        {
            member.Dispose();
        }

        // Scopes end in the reverse of the order in which they began; one that was forgotten ends with its outer scope.
        for (var scope = current; scope is not null; scope = scope.outer)
        {
            if (scope == this)
            {
                current = outer;
                break;
            }
        }
    }

    internal void Add(torch.Tensor tensor)
    {
        tensor.scope = this;
        tensor.place = members.Count;
        members.Add(tensor);
    }

    /// <summary>Puts a tensor in the place of another one, which leaves the scope.</summary>
    internal static void Replace(torch.Tensor old, torch.Tensor replacement)
    {
        if (old.scope is { } scope)
        {
            scope.members[old.place] = replacement;
            replacement.scope = scope;
            replacement.place = old.place;
            old.scope = null;
        }
    }

    /// <summary>Empties the scope first, for a member may dispose of others.</summary>
    private List<IDisposable> TakeAll()
    {
        var taken = members;
        members = [];
        foreach (var tensor in taken.OfType<torch.Tensor>())
        {
            tensor.scope = null;
        }

        return taken;
    }

    private void Move(IDisposable disposable, DisposeScope? target)
    {
        Remove(disposable);
        target?.Attach(disposable);
    }

    private void Remove(IDisposable disposable)
    {
        if (disposable is not torch.Tensor tensor)
        {
            members.Remove(disposable);
        }
        else if (tensor.scope == this)
        {
            var last = members.Count - 1;
            if (tensor.place != last)
            {
                members[tensor.place] = members[last];
                if (members[tensor.place] is torch.Tensor moved)
                {
                    moved.place = tensor.place;
                }
            }

            members.RemoveAt(last);
            tensor.scope = null;
        }
    }
}
