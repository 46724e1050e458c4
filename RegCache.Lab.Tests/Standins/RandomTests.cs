using static TorchSharp.torch;

namespace RegCache.Lab.Tests.Standins;

[Collection(ProcessWide.Name)]
public sealed class RandomTests : IDisposable
{
    private readonly DisposeScope scope = NewDisposeScope();

    public void Dispose() => scope.Dispose();

    [Fact]
    public void A_seed_repeats_the_numbers()
    {
        manual_seed(5);
        Tensor first = rand(3), second = randn(2, 2), third = randperm(10), fourth = randint(0, 9, [4]);
        manual_seed(5);
        Assert.True(first.allclose(rand(3), 0, 0));
        Assert.True(second.allclose(randn(2, 2), 0, 0));
        Assert.True(third.allclose(randperm(10), 0, 0));
        Assert.True(fourth.allclose(randint(0, 9, [4]), 0, 0));
        Assert.False(first.allclose(rand(3)));
        Assert.Equal(5, initial_seed());
    }

    [Fact]
    public void A_state_can_be_kept_and_set_again()
    {
        var state = get_rng_state();
        var first = rand(3);
        set_rng_state(state);
        Assert.True(first.allclose(rand(3), 0, 0));
    }

    [Fact]
    public void A_generator_has_numbers_of_its_own()
    {
        using var generator = new Generator(7);
        var first = rand(3, generator: generator);
        var state = generator.get_state();
        var second = randn(3, generator: generator);
        generator.set_state(state);
        Assert.True(second.allclose(randn(3, generator: generator), 0, 0));
        generator.manual_seed(7);
        Assert.Equal(7, generator.initial_seed());
        manual_seed(1);
        Assert.True(first.allclose(rand(3, generator: generator), 0, 0));
    }

    [Fact]
    public void Numbers_follow_their_distribution()
    {
        manual_seed(3);
        var uniform = empty(10_000).uniform_(2, 4);
        Assert.InRange(uniform.mean().ToDouble(), 2.97, 3.03);
        Assert.InRange(uniform.min().ToDouble(), 2, 2.01);
        var normal = empty(10_000).normal_(1, 2);
        Assert.InRange(normal.mean().ToDouble(), 0.93, 1.07);
        Assert.InRange(normal.std().ToDouble(), 1.95, 2.05);
        Assert.InRange(empty(10_000).bernoulli_(0.3).mean().ToDouble(), 0.28, 0.32);
        var whole = randint(3, 6, [1000]);
        Assert.Equal(3, whole.min().item<long>());
        Assert.Equal(5, whole.max().item<long>());
        Assert.Equal(45, randperm(10).sum().item<long>());
        TensorAssert.Equal([1, 1], multinomial(tensor(new[] { 0f, 1 }), 2, replacement: true));
    }

    [Fact]
    public void The_number_of_threads_can_be_set()
    {
        var before = get_num_threads();
        var chosen = new[] { "OMP_NUM_THREADS", "MKL_NUM_THREADS" }.Any(name => Environment.GetEnvironmentVariable(name) is { Length: > 0 });
        Assert.True(chosen || before >= Math.Min(2, Environment.ProcessorCount));
        set_num_threads(1);
        Assert.Equal(1, get_num_threads());
        set_num_threads(2);
        Assert.Equal(2, get_num_threads());
        Assert.True(get_num_interop_threads() >= 1);
        set_num_threads(before);
    }
}
