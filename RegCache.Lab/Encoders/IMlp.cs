namespace RegCache.Lab.Encoders;

/// <summary>Seam 5: what a token passes through after attention, an MLP or a memory layer.</summary>
public interface IMlp
{
    /// <summary>Whether each output row depends on its own input row alone.</summary>
    bool IsRowwise { get; }

    /// <summary>Maps each token, [B,N,C] to [B,N,C].</summary>
    /// <param name="input">Normalised tokens [B,N,C].</param>
    /// <param name="probe">Told of the activations inside.</param>
    Tensor Apply(Tensor input, BlockProbe probe);
}
