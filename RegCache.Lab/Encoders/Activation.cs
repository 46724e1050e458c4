namespace RegCache.Lab.Encoders;

/// <summary>The non-linearity of a block's MLP.</summary>
public enum Activation
{
    /// <summary>Exact GELU, <c>x Phi(x)</c>, in its erf form.</summary>
    Gelu,

    /// <summary><c>x sigmoid(1.702 x)</c>, used by the OpenAI CLIP weights.</summary>
    QuickGelu,
}

/// <summary>Evaluates an <see cref="Activation"/>.</summary>
public static class ActivationExtensions
{
    /// <summary>Applies the non-linearity to every element.</summary>
    public static Tensor Apply(this Activation activation, Tensor input)
    {
        if (activation == Activation.Gelu)
        {
            return torch.nn.functional.gelu(input);
        }

        using var scaled = input * 1.702f;
        using var gate = scaled.sigmoid();
        return input * gate;
    }
}
