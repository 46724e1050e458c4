using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public static bool is_grad_enabled() => Native.tsb_grad_mode() != 0;

    public static IDisposable no_grad() => new GradMode(false);

    public static IDisposable enable_grad(bool enabled = true) => new GradMode(enabled);

    public static IDisposable set_grad_enabled(bool mode = true) => new GradMode(mode);

    public static bool is_inference_mode_enabled() => Native.tsb_inference_mode() != 0;

    public static IDisposable inference_mode(bool mode = true) => new InferenceMode(mode);

    /// <summary>Restores the thread's mode at the end.</summary>
    private sealed class GradMode : IDisposable
    {
        private readonly bool before = is_grad_enabled();

        public GradMode(bool enabled) => Native.tsb_set_grad_mode(enabled ? 1 : 0);

        public void Dispose() => Native.tsb_set_grad_mode(before ? 1 : 0);
    }

    private sealed class InferenceMode(bool enabled) : IDisposable
    {
        private nint handle = Native.Check(Native.tsb_begin_inference_mode(enabled ? 1 : 0));

        public void Dispose()
        {
            Native.tsb_end_inference_mode(handle);
            handle = 0;
        }
    }
}
