namespace RegCache.Lab.Kernel.Jupyter;

/// <summary>A channel of the messaging protocol.</summary>
internal enum JupyterChannel
{
    /// <summary>Requests, answered in order.</summary>
    Shell,

    /// <summary>Requests that overtake those of the shell.</summary>
    Control,

    /// <summary>Questions of the kernel to the person.</summary>
    Stdin,

    /// <summary>Outputs, to every front end.</summary>
    IoPub,
}
