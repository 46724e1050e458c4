using RegCache.Lab.Encoders;
using RegCache.Lab.Quantization.Integer;
using TorchSharp;

namespace RegCache.Lab.Tests.Quantization.Integer;

public sealed class PackedLinearTests
{
    [IntegerFact]
    public void ProductsEqualThoseOfTheTensorOperators()
    {
        var draw = new RandomTensors(0);
        foreach (var (rows, inputs, outputs) in new[] { (1, 1, 1), (7, 24, 72), (197, 48, 400), (33, 130, 17), (400, 768, 770) })
        {
            using var scope = torch.NewDisposeScope();
            var plain = new Linear(draw.Normal(outputs, inputs), draw.Normal(outputs));
            var input = draw.Normal(2, rows, inputs);
            var packed = new PackedLinear("layer", plain);
            GoldenTensors.AssertIdentical(plain.Weight, packed.Weight, "weights");
            GoldenTensors.AssertClose(plain.Apply(input), packed.Apply(input), 1e-5 * Math.Sqrt(inputs));
            GoldenTensors.AssertClose(
                (plain with { Bias = null }).Apply(input), new PackedLinear("layer", plain with { Bias = null }).Apply(input), 1e-5 * Math.Sqrt(inputs));
        }
    }

    [IntegerFact]
    public void Bfloat16ProductsEqualThoseOfTheTensorOperators()
    {
        Assert.Null(OneDnn.Support.BfloatProblem);
        using var scope = torch.NewDisposeScope();
        var draw = new RandomTensors(0);
        var plain = new Linear(draw.Normal(200, 130).bfloat16(), draw.Normal(200).bfloat16());
        var input = draw.Normal(2, 50, 130).bfloat16();
        var packed = new PackedLinear("layer", plain);
        GoldenTensors.AssertIdentical(plain.Weight, packed.Weight, "weights");
        var output = packed.Apply(input);
        Assert.Equal(torch.ScalarType.BFloat16, output.dtype);
        var exact = torch.nn.functional.linear(input.@float(), plain.Weight.@float(), plain.Bias!.@float());
        GoldenTensors.AssertClose(exact, output.@float(), 1e-4, 1.0 / 256);
    }

    [IntegerFact]
    public void RowsThatAreNotDenseAreRead()
    {
        using var scope = torch.NewDisposeScope();
        var draw = new RandomTensors(0);
        var plain = new Linear(draw.Normal(20, 30), draw.Normal(20));
        var input = draw.Normal(4, 30, 9).transpose(1, 2);
        GoldenTensors.AssertClose(plain.Apply(input), new PackedLinear("layer", plain).Apply(input), 1e-4);
    }

    [IntegerFact]
    public void OtherInputsAreRefused()
    {
        using var scope = torch.NewDisposeScope();
        var draw = new RandomTensors(0);
        var packed = new PackedLinear("layer", new(draw.Normal(20, 30), null));
        Assert.Throws<ArgumentException>(() => packed.Apply(draw.Normal(2, 31)));
        Assert.Throws<ArgumentException>(() => packed.Apply(draw.Normal(2, 30).bfloat16()));
    }
}
