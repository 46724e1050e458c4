namespace RegCache.Lab.Encoders;

/// <summary>Seam 6: a read-only observer of named activations.</summary>
public interface IActivationProbe
{
    /// <summary>Whether the probe wants this activation; those that nobody wants are not materialised for it.</summary>
    bool Wants(int block, ActivationKind kind);

    /// <summary>Names the plans of a tree that share what is shown next; called before each block that a tree runs.</summary>
    /// <param name="plans">Their indices in the tree.</param>
    void Enter(IReadOnlyList<int> plans)
    {
    }

    /// <summary>Shows one activation. It is released after the call: keep a clone, not the tensor.</summary>
    void Observe(int block, ActivationKind kind, Tensor value);
}
