namespace RegCache.Lab.Tests;

/// <summary>What a function returns outlives its scope, whatever holds it; what it makes on its way does not.</summary>
public class TensorScopeTests
{
    [Fact]
    public void TensorsOfEveryHolderAreKept()
    {
        using var scope = torch.NewDisposeScope();
        Tensor? passing = null;
        Tensor Make()
        {
            passing = torch.ones(2);
            return passing + 1;
        }

        var tuple = TensorScope.Run(() => (Make(), Make(), 3));
        var pairs = TensorScope.Run(() => new List<(Tensor, Tensor)> { (Make(), Make()) });
        var array = TensorScope.Run<IReadOnlyList<Tensor>>(() => [Make(), Make()]);
        var dictionary = TensorScope.Run(() => new Dictionary<string, Tensor> { ["a"] = Make() });
        var nested = TensorScope.Run(() => new OrderedDictionary<int, (Tensor, Tensor?)[]> { [0] = [(Make(), null)] });
        var holder = TensorScope.Run(() => new Holder([Make(), Make()]));

        Assert.True(passing!.IsInvalid);
        Assert.All(
            [tuple.Item1, tuple.Item2, pairs[0].Item1, pairs[0].Item2, .. array, dictionary["a"], nested[0][0].Item1, .. holder.Tensors],
            tensor => Assert.Equal(4, tensor.sum().item<float>()));
    }

    [Fact]
    public void ATensorOfTheCallerStaysWhereItIs()
    {
        using var outer = torch.NewDisposeScope();
        var mine = torch.ones(2);
        using (torch.NewDisposeScope())
        {
            Assert.Same(mine, TensorScope.Run(() => mine));
            Assert.Same(mine, TensorScope.Run(() => new List<Tensor> { mine })[0]);
        }

        Assert.False(mine.IsInvalid);
        Assert.True(outer.Contains(mine));
    }

    [Fact]
    public void KeptTensorsBelongToNoScope()
    {
        (Tensor First, List<(Tensor, Tensor)> Others) kept;
        using (torch.NewDisposeScope())
        {
            kept = TensorScope.Keep((torch.ones(1), new List<(Tensor, Tensor)> { (torch.ones(1), torch.ones(1)) }));
        }

        Tensor[] all = [kept.First, kept.Others[0].Item1, kept.Others[0].Item2];
        Assert.All(all, tensor => Assert.False(tensor.IsInvalid));
        Array.ForEach(all, tensor => tensor.Dispose());
    }

    [Fact]
    public void ValuesWithoutTensorsPassAndLazySequencesAreRefused()
    {
        Assert.Equal(("text", 2), TensorScope.Run(() => ("text", 2)));
        Assert.Null(TensorScope.Run<Tensor?>(() => null));
        Assert.Throws<ArgumentException>(() => TensorScope.Run(() => Enumerable.Range(0, 2).Select(_ => torch.ones(1))));
        Assert.Throws<ArgumentException>(() => TensorScope.Keep((1, Enumerable.Range(0, 2).Select(_ => torch.ones(1)))));
    }

    private sealed record Holder(IReadOnlyList<Tensor> Rows) : ITensorHolder
    {
        public IEnumerable<Tensor> Tensors => Rows;
    }
}
