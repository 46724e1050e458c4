using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public class Generator : IDisposable
    {
        private nint handle;

        public Generator(ulong seed = 0, Device? device = null)
        {
            this.device = device ?? CPU;
            handle = Native.Check(Native.tsb_generator((long)seed, this.device.Packed));
        }

        private Generator(nint handle, Device device)
        {
            this.handle = handle;
            this.device = device;
        }

        ~Generator() => Dispose(false);

        public static Generator Default => new(Native.Check(Native.tsb_default_generator(CPU.Packed)), CPU);

        public nint Handle => handle != 0 ? handle : throw new InvalidOperationException("This generator has been disposed of.");

        public Device device { get; }

        public Generator manual_seed(long seed)
        {
            Native.Check(Native.tsb_seed_generator(Handle, seed));
            GC.KeepAlive(this);
            return this;
        }

        public long seed()
        {
            var value = Native.tsb_reseed_generator(Handle);
            GC.KeepAlive(this);
            return value;
        }

        public long initial_seed()
        {
            var value = Native.tsb_initial_seed(Handle);
            GC.KeepAlive(this);
            return value;
        }

        public Tensor get_state()
        {
            var state = new Tensor(Native.Check(Native.tsb_generator_state(Handle)));
            GC.KeepAlive(this);
            return state;
        }

        public void set_state(Tensor value)
        {
            Native.Check(Native.tsb_set_generator_state(Handle, value.Handle));
            GC.KeepAlive(value);
            GC.KeepAlive(this);
        }

        public void Dispose()
        {
            Dispose(true);
            GC.SuppressFinalize(this);
        }

        protected virtual void Dispose(bool disposing)
        {
            var released = Interlocked.Exchange(ref handle, 0);
            if (released != 0)
            {
                Native.tsb_release_generator(released);
            }
        }
    }
}
