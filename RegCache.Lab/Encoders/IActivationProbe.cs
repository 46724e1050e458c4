namespace RegCache.Lab.Encoders;

/// <summary>Seam 6: a read-only observer of named activations.</summary>
public interface IActivationProbe
{
    /// <summary>Whether the probe wants this activation; those that nobody wants are not materialised for it.</summary>
    bool Wants(int block, ActivationKind kind);

    /// <summary>Shows one activation. It is released after the call: keep a clone, not the tensor.</summary>
    void Observe(int block, ActivationKind kind, Tensor value);
}
