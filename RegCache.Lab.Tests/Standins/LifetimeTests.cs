using TorchSharp.Interop;
using static TorchSharp.torch;

namespace RegCache.Lab.Tests.Standins;

[Collection(ProcessWide.Name)]
public sealed class LifetimeTests
{
    [Fact]
    public void A_scope_disposes_of_what_was_made_in_it()
    {
        Tensor inner, outer, free;
        using (NewDisposeScope())
        {
            using (var scope = NewDisposeScope())
            {
                Assert.Same(scope, CurrentDisposeScope);
                inner = zeros(1);
                outer = zeros(1).MoveToOuterDisposeScope();
                free = zeros(1).DetachFromDisposeScope();
                Assert.Equal(1, scope.DisposablesCount);
                Assert.True(scope.Contains(inner));
            }

            Assert.True(inner.IsInvalid);
            Assert.False(outer.IsInvalid);
        }

        Assert.Null(CurrentDisposeScope);
        Assert.True(outer.IsInvalid);
        Assert.False(free.IsInvalid);
        free.Dispose();
    }

    [Fact]
    public void Tensors_join_and_leave_scopes()
    {
        using var outer = NewDisposeScope();
        using var scope = NewDisposeScope();
        Tensor a = zeros(1), b = zeros(1), c = zeros(1);
        a.Dispose();
        Assert.Equal(2, scope.DisposablesCount);
        Assert.Equal([c, b], scope.DisposablesView, ReferenceEqualityComparer.Instance);
        scope.MoveToOuter(b, c);
        Assert.Equal(0, scope.DisposablesCount);
        Assert.True(outer.Contains(b));
        scope.Attach(b);
        Assert.False(outer.Contains(b));
        b.MoveToOtherDisposeScope(outer);
        Assert.True(outer.Contains(b));
        outer.Detach(b);
        Assert.False(outer.Contains(b));
        outer.Attach(b);
        using var file = new MemoryStream();
        outer.Attach(file);
        outer.DisposeEverythingBut(c);
        Assert.False(file.CanRead);
        Assert.True(b.IsInvalid);
        Assert.False(c.IsInvalid);
        Assert.Equal(1, outer.DisposablesCount);
        outer.DisposeEverything();
        Assert.True(c.IsInvalid);
    }

    [Fact]
    public void A_member_may_dispose_of_others_of_its_scope()
    {
        Tensor x;
        using (var scope = NewDisposeScope())
        {
            x = zeros(1);
            scope.Attach(new Owner(x));
            zeros(2);
        }

        Assert.True(x.IsInvalid);
    }

    [Fact]
    public void A_result_can_leave_its_scope()
    {
        var result = WrappedTensorDisposeScope(() => zeros(2) + 1);
        TensorAssert.Equal([1, 1], result);
        result.Dispose();
        result.Dispose();
        Assert.True(result.IsInvalid);
        Assert.Equal("(disposed)", result.ToString());
        Assert.Throws<InvalidOperationException>(() => result + 1);
    }

    [Fact]
    public void Scopes_belong_to_their_thread()
    {
        using var scope = NewDisposeScope();
        Tensor? other = null;
        var thread = new Thread(() => other = zeros(1));
        thread.Start();
        thread.Join();
        Assert.False(scope.Contains(other!));
        other!.Dispose();
    }

    [Fact]
    public void An_alias_lives_on_its_own()
    {
        var x = ones(2);
        var alias = x.alias();
        x.Dispose();
        TensorAssert.Equal([1, 1], alias);
        alias.Dispose();
    }

    [Fact]
    public void Rounds_of_work_leave_no_tensor_behind()
    {
        Settle();
        var managed = ProcessWide.LiveTensors();
        var native = Native.tsb_live_handles();
        Assert.Equal(managed, native);
        using (var weights = nn.Parameter(randn(16, 8)))
        using (var bias = nn.Parameter(zeros(16)))
        {
            for (var round = 0; round < 50; round++)
            {
                using var scope = NewDisposeScope();
                var hidden = nn.functional.gelu(nn.functional.linear(randn(4, 8), weights, bias));
                var parts = hidden.chunk(4, 1);
                var loss = cat(parts, 0)[.., 0..2].pow(2).mean() + hidden.max(1).Item1.sum();
                loss.backward();
                Assert.Throws<System.Runtime.InteropServices.ExternalException>(() => hidden.matmul(hidden));
            }

            Assert.Equal(managed + 2, Tensor.TotalCount);
            Assert.Equal(native + 2, Native.tsb_live_handles());
        }

        Assert.Equal(managed, Tensor.TotalCount);
        Assert.Equal(native, Native.tsb_live_handles());
    }

    [Fact]
    public void Forgotten_tensors_are_finalized()
    {
        Settle();
        var before = ProcessWide.LiveTensors();
        Forget();
        Settle();
        Assert.Equal(before, Tensor.TotalCount);
    }

    [System.Runtime.CompilerServices.MethodImpl(System.Runtime.CompilerServices.MethodImplOptions.NoInlining)]
    private static void Forget()
    {
        for (var i = 0; i < 10; i++)
        {
            _ = zeros(1000);
        }
    }

    private sealed class Owner(Tensor owned) : IDisposable
    {
        public void Dispose() => owned.Dispose();
    }

    private static void Settle()
    {
        for (var i = 0; i < 2; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
    }
}
