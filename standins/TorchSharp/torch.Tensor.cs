using TorchSharp.Interop;

namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor : IDisposable
    {
        internal DisposeScope? scope;
        internal int place;

        private static long totalCount;
        private nint handle;

        internal Tensor(nint handle)
            : this(handle, register: true)
        {
        }

        private protected Tensor(nint handle, bool register)
        {
            this.handle = handle;
            if (handle != 0)
            {
                Interlocked.Increment(ref totalCount);
                if (register)
                {
                    DisposeScope.Current?.Add(this);
                }
            }
        }

        ~Tensor() => Dispose(false);

        public static long TotalCount => Interlocked.Read(ref totalCount);

        public nint Handle =>
            handle != 0 ? handle : throw new InvalidOperationException("This tensor has been disposed of, or its handle was given away.");

        public bool IsInvalid => handle == 0;

        public string? name { get; set; }

        public void Dispose()
        {
            scope?.MarkAsDisposed(this);
            Dispose(true);
            GC.SuppressFinalize(this);
        }

        public Tensor MoveToOuterDisposeScope()
        {
            scope?.MoveToOuter(this);
            return this;
        }

        public Tensor MoveToOtherDisposeScope(DisposeScope? other)
        {
            if (scope is not null)
            {
                scope.MoveToOther(other, this);
            }
            else
            {
                other?.Attach(this);
            }

            return this;
        }

        public Tensor MoveToOtherDisposeScope(Tensor other) => MoveToOtherDisposeScope(other.scope);

        public Tensor DetachFromDisposeScope()
        {
            scope?.Detach(this);
            return this;
        }

        public Tensor alias()
        {
            var result = new Tensor(Native.tsb_alias(Handle));
            GC.KeepAlive(this);
            return result;
        }

        public override bool Equals(object? obj) => ReferenceEquals(this, obj);

        public override int GetHashCode() => base.GetHashCode();

        protected virtual void Dispose(bool disposing)
        {
            var released = Interlocked.Exchange(ref handle, 0);
            if (released != 0)
            {
                Interlocked.Decrement(ref totalCount);
                Native.tsb_release(released);
            }
        }

        /// <summary>Gives the native tensor away and becomes empty.</summary>
        internal nint MoveHandle()
        {
            var moved = Handle;
            handle = 0;
            Interlocked.Decrement(ref totalCount);
            GC.SuppressFinalize(this);
            return moved;
        }
    }
}
