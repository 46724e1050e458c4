using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using TorchSharp.Interop;
using static TorchSharp.torch;

namespace RegCache.Lab.Tests.Standins;

public sealed partial class ErrorTests : IDisposable
{
    private readonly DisposeScope scope = NewDisposeScope();

    public void Dispose() => scope.Dispose();

    [Fact]
    public void A_libtorch_error_is_an_exception_with_its_first_line()
    {
        var error = Assert.Throws<ExternalException>(() => zeros(2, 3).matmul(zeros(2, 3)));
        Assert.StartsWith("mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
        Assert.Throws<ExternalException>(() => zeros(2).view(3));
        Assert.Throws<ExternalException>(() => zeros(2).sum(4));
        Assert.Throws<ExternalException>(() => cat([zeros(2), zeros(2, 2)]));
        Assert.Throws<ExternalException>(() => zeros(2).requires_grad_().zero_());
        Assert.Throws<ExternalException>(() => zeros(2, int64).requires_grad_());
        Assert.Throws<ExternalException>(() => zeros(2)[5]);
        Assert.Throws<ExternalException>(() => zeros(-1));
    }

    [Fact]
    public void Work_goes_on_after_an_error()
    {
        for (var i = 0; i < 100; i++)
        {
            Assert.Throws<ExternalException>(() => zeros(2).add(zeros(3)));
            TensorAssert.Equal([1, 1], zeros(2).add(1));
        }
    }

    [Fact]
    public void An_unknown_operator_and_a_missing_argument_are_named()
    {
        var unknown = Assert.Throws<ExternalException>(() => Op.Call("aten::no_such_operator"u8));
        Assert.Contains("aten::no_such_operator", unknown.Message, StringComparison.Ordinal);
        var missing = Assert.Throws<ExternalException>(() => Op.Call("aten::add.Tensor"u8, zeros(1)));
        Assert.Contains("'other'", missing.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Arguments_left_out_take_the_schemas_defaults()
    {
        var x = arange(4, dtype: float32).view(2, 2);
        TensorAssert.Equal([2, 2], [0, 1, 2, 3], Op.Call("aten::tril"u8, x).add(Op.Call("aten::triu"u8, x, 1)));
        TensorAssert.Equal(6, Op.Call("aten::sum"u8, x));
        TensorAssert.Equal([2, 2], [0, 2, 4, 6], Op.Call("aten::add.Tensor"u8, x, x));
    }

    [Fact]
    public void A_null_in_a_list_of_tensors_is_refused() =>
        Assert.Throws<ArgumentNullException>(() => cat([zeros(1), null!]));

    [Fact]
    public void Devices_are_understood_or_refused()
    {
        Assert.Equal(DeviceType.CUDA, device("cuda:1").type);
        Assert.Equal(1, device("cuda:1").index);
        Assert.Equal("cuda:0", device("cuda").ToString());
        Assert.Equal(DeviceType.CPU, ((Device)"CPU").type);
        Assert.Throws<ArgumentException>(() => device("gpu"));
        Assert.Throws<ArgumentException>(() => device("cuda:x"));
        Assert.Equal(cuda.is_available(), cuda.device_count() > 0);
        if (!cuda.is_available())
        {
            Assert.Throws<ExternalException>(() => zeros(1, device: CUDA));
        }
    }

    [Fact]
    public void Every_operator_that_the_stand_in_calls_exists()
    {
        var folder = Path.Combine(Goldens.RepositoryRoot, "standins", "TorchSharp");
        var names = Directory.EnumerateFiles(folder, "*.cs").SelectMany(file => OperatorName().Matches(File.ReadAllText(file)))
            .Select(match => match.Groups[1].Value).Distinct().ToArray();
        Assert.True(names.Length > 300);

        // libtorch has this one since 2.0; before, the stand-in composes it.
        Assert.Empty(names.Where(name => !Op.Exists(System.Text.Encoding.UTF8.GetBytes(name))).Except(["aten::scaled_dot_product_attention"]));
    }

    [Fact]
    public void Every_function_of_one_tensor_can_be_called()
    {
        var failures = new List<string>();
        var methods = typeof(Tensor).GetMethods().Where(method =>
            method.GetParameters().Length == 0 && method.ReturnType == typeof(Tensor) && !method.IsSpecialName);
        foreach (var method in methods)
        {
            Tensor[] inputs = [rand(3, 3), arange(9).view(3, 3), ones(3, 3, @bool), arange(3)];
            if (!inputs.Any(input => Works(() => method.Invoke(input, null))))
            {
                failures.Add(method.Name);
            }
        }

        // Memory can be pinned only for a GPU.
        Assert.Empty(failures.Except(["pin_memory"]));
    }

    private static bool Works(Action action)
    {
        try
        {
            action();
            return true;
        }
        catch (System.Reflection.TargetInvocationException)
        {
            return false;
        }
    }

    [GeneratedRegex("\"(aten::[\\w.]+)\"u8")]
    private static partial Regex OperatorName();
}
