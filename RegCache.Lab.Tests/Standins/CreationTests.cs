namespace RegCache.Lab.Tests.Standins;

public sealed class CreationTests : IDisposable
{
    private readonly DisposeScope scope = torch.NewDisposeScope();

    public void Dispose() => scope.Dispose();

    [Fact]
    public void Filled_tensors_have_shape_type_and_values()
    {
        TensorAssert.Equal([2, 3], [0, 0, 0, 0, 0, 0], torch.zeros(2, 3));
        TensorAssert.Equal([1, 2], [1, 1], torch.ones([1, 2]));
        TensorAssert.Equal([2], [7, 7], torch.full(2, 7, torch.int32));
        Assert.Equal(torch.ScalarType.Int32, torch.full(2, 7, torch.int32).dtype);
        Assert.Equal(torch.ScalarType.Float32, torch.zeros(1).dtype);
        Assert.Equal([4, 5, 6, 7], torch.empty(4, 5, 6, 7).shape);
        TensorAssert.Equal([2, 2], [1, 0, 0, 1], torch.eye(2));
        TensorAssert.Equal([2, 3], [1, 0, 0, 0, 1, 0], torch.eye(2, 3));
    }

    [Fact]
    public void Ranges_take_their_type_from_their_bounds()
    {
        var whole = torch.arange(4);
        Assert.Equal(torch.ScalarType.Int64, whole.dtype);
        TensorAssert.Equal([0, 1, 2, 3], whole);
        TensorAssert.Equal([1, 1.5, 2], torch.arange(1, 2.5, 0.5));
        TensorAssert.Equal([2, 3], torch.arange(2, 4, torch.float16));
        TensorAssert.Equal([0, 0.5, 1], torch.linspace(0, 1, 3));
    }

    [Fact]
    public void Arrays_are_copied_with_the_shape_asked_for()
    {
        var values = new[] { 1f, 2, 3, 4, 5, 6 };
        var tensor = torch.tensor(values, [3, 2]);
        values[0] = 100;
        TensorAssert.Equal([3, 2], [1, 2, 3, 4, 5, 6], tensor);
        TensorAssert.Equal([2, 2], [1, 2, 3, 4], torch.tensor(new[,] { { 1L, 2 }, { 3, 4 } }));
        TensorAssert.Equal([1, 2, 1], [1, 2], torch.tensor(new List<int> { 1, 2 }, 1, 2, 1));
        TensorAssert.Equal([2, 1], [3, 4], torch.tensor(new double[] { 3, 4 }.AsMemory(), [2, 1]));
        TensorAssert.Equal([1, 0], torch.tensor(new[] { true, false }));
        Assert.Equal(torch.ScalarType.Bool, torch.tensor(new[] { true }).dtype);
        Assert.Equal(torch.ScalarType.BFloat16, torch.tensor(new[] { 1f }, torch.bfloat16).dtype);
        Assert.Equal(torch.ScalarType.Float16, torch.tensor(new[] { (Half)1 }).dtype);
        TensorAssert.Equal(2.5, torch.tensor(2.5));
        Assert.Equal(torch.ScalarType.Float64, torch.tensor(2.5).dtype);
        Assert.Equal(torch.ScalarType.Int64, torch.tensor(2L).dtype);
        Assert.Equal(torch.ScalarType.Int32, torch.tensor(2).dtype);
    }

    [Fact]
    public void Too_few_values_for_a_shape_are_refused() =>
        Assert.Throws<ArgumentException>(() => torch.tensor(new[] { 1f, 2 }, [3]));

    [Fact]
    public void An_array_can_share_its_memory()
    {
        var values = new long[,] { { 1, 2, 3 }, { 4, 5, 6 } };
        var tensor = torch.from_array(values);
        TensorAssert.Equal([2, 3], [1, 2, 3, 4, 5, 6], tensor);
        values[1, 2] = 9;
        tensor[0, 0] = torch.tensor(8L);
        Assert.Equal(9, tensor[1, 2].item<long>());
        Assert.Equal(8, values[0, 0]);
        var view = tensor.view(6);
        tensor.Dispose();
        GC.Collect();
        TensorAssert.Equal([8, 2, 3, 4, 5, 9], view);
    }

    [Fact]
    public void Likes_copy_shape_and_type()
    {
        var model = torch.ones([2, 1], torch.float64);
        Assert.Equal(torch.ScalarType.Float64, torch.zeros_like(model).dtype);
        TensorAssert.Equal([2, 1], [3, 3], torch.full_like(model, 3));
        TensorAssert.Equal([2, 1], [1, 1], model.ones_like(torch.int64));
        Assert.Equal([5], model.new_zeros(5).shape);
        Assert.Equal(torch.ScalarType.Float64, model.new_zeros(5).dtype);
        TensorAssert.Equal([2], [4, 4], model.new_full([2], 4));
        Assert.True(model.zeros_like(requires_grad: true).requires_grad);
    }

    [Fact]
    public void Dimensions_cannot_have_names() =>
        Assert.Throws<NotSupportedException>(() => torch.zeros(2, names: ["N"]));

    [Fact]
    public void Numbers_become_tensors_where_one_is_wanted()
    {
        Tensor number = 1.5f;
        Tensor list = new[] { 1L, 2 };
        TensorAssert.Equal(1.5, number);
        TensorAssert.Equal([1, 2], list);
        Assert.Equal(3, (int)torch.tensor(3.7));
        Assert.Equal(3.5f, (float)torch.tensor(3.5));
    }
}
