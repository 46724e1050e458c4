using System.Text.Json;
using RegCache.Lab.Encoders.Checkpoints;
using RegCache.Lab.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace RegCache.Lab.Tests.Training;

[Trait("Category", "Golden")]
public sealed class SamGoldenTests : IDisposable
{
    private const double Tolerance = 1e-5;

    private readonly Dictionary<string, Tensor> _golden = GoldenTensors.Load("token-merging", "misc.safetensors");
    private readonly DisposeScope _scope = NewDisposeScope();

    public static TheoryData<string> Runs()
    {
        using var file = WeightFile.Open(Goldens.Path("token-merging", "misc.safetensors"));
        return [.. file.Metadata.Keys.Where(key => key.StartsWith("sam_", StringComparison.Ordinal))];
    }

    [Theory]
    [MemberData(nameof(Runs))]
    public void StepsMatch(string run)
    {
        var (parameters, update, options) = Start(run);
        var sharpness = new SamTraining(parameters, options);
        var steps = 0;
        for (; _golden.ContainsKey($"{run}/step{steps}/losses"); steps++)
        {
            var folder = $"{run}/step{steps}";
            AssertAll(folder, "before", parameters);
            var first = Loss(parameters);
            first.backward();
            AssertAll(folder, "", [.. parameters.Select(parameter => parameter.grad!)], "grad1_");
            Tensor second;
            using (var climb = sharpness.Climb())
            {
                GoldenTensors.AssertClose(_golden[$"{folder}/grad_norm"], climb.GradientNorm.view(1), Tolerance);
                AssertAll(folder, "perturbed", parameters);
                Assert.All(parameters, parameter => Assert.Null(parameter.grad));
                second = Loss(parameters);
                second.backward();
            }

            AssertAll(folder, "before", parameters);
            GoldenTensors.AssertClose(_golden[$"{folder}/losses"], stack([first.detach(), second.detach()]), Tolerance);
            update(steps + 1);
            AssertAll(folder, "after", parameters);
            Clear(parameters);
        }

        Assert.NotEqual(0, steps);
    }

    [Theory]
    [MemberData(nameof(Runs))]
    public void TheGradientsOfAStepAreThoseOfTheSecondPass(string run)
    {
        var (parameters, update, options) = Start(run);
        var passes = 0;
        var loss = SamTraining.Passes(
            new(parameters, options),
            () =>
            {
                passes++;
                var value = Loss(parameters);
                value.backward();
                return value.detach();
            },
            () => Assert.Equal(1, passes));
        Assert.Equal(2, passes);
        update(1);
        GoldenTensors.AssertClose(_golden[$"{run}/step0/losses"][0], loss, Tolerance);
        AssertAll($"{run}/step0", "after", parameters);
    }

    [Fact]
    public void ParametersWithoutGradientStay()
    {
        var (used, unused) = (ones(3).requires_grad_(), ones(3).requires_grad_());
        used.square().sum().backward();
        using (new SamTraining([used, unused], new()).Climb())
        {
            Assert.Equal(1f, unused[0].item<float>());
            Assert.NotEqual(1f, used[0].item<float>());
        }

        Assert.Equal(1f, used[0].item<float>());
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(double.NaN)]
    public void BadRadiusIsRefused(double radius) =>
        Assert.Throws<UserException>(() => new SamTraining([], new(radius)));

    public void Dispose() => _scope.Dispose();

    private static void Clear(Tensor[] parameters) => Array.ForEach(parameters, parameter => parameter.grad = null);

    // The parameters before the first step, the step of the run's optimiser, and its climb.
    private (Tensor[] Parameters, Action<int> Update, SamOptions Options) Start(string run)
    {
        using var file = WeightFile.Open(Goldens.Path("token-merging", "misc.safetensors"));
        var settings = JsonDocument.Parse(file.Metadata[run]).RootElement;
        double Setting(string name) => settings.GetProperty(name).GetDouble();
        var parameters = Parameters($"{run}/step0", "before").Select(value => value.clone().requires_grad_()).ToArray();
        Action<int> update = settings.TryGetProperty("momentum", out var momentum)
            ? new Momentum(parameters, Setting("lr"), momentum.GetDouble(), Setting("weight_decay")).Step
            : new Adam(parameters, Setting("lr"), Setting("weight_decay")).Step;
        return (parameters, update, new(Setting("rho"), settings.GetProperty("adaptive").GetBoolean()));
    }

    private Tensor[] Parameters(string folder, string when) =>
        [.. Enumerable.Range(0, _golden.Count).TakeWhile(index => _golden.ContainsKey($"{folder}/p{index}_{when}")).Select(index => _golden[$"{folder}/p{index}_{when}"])];

    private void AssertAll(string folder, string when, Tensor[] actual, string prefix = "")
    {
        Assert.NotEmpty(actual);
        for (var index = 0; index < actual.Length; index++)
        {
            var name = when.Length == 0 ? $"{folder}/{prefix}p{index}" : $"{folder}/{prefix}p{index}_{when}";
            GoldenTensors.AssertClose(_golden[name], actual[index].detach(), Tolerance);
        }
    }

    // Two layers with a tanh between them, mean squared error.
    private Tensor Loss(Tensor[] p)
    {
        var hidden = (_golden["sam/X"].matmul(p[0].t()) + p[1]).tanh();
        return (hidden.matmul(p[2].t()) + p[3] - _golden["sam/Y"]).square().mean();
    }

    private sealed class Momentum(Tensor[] parameters, double rate, double momentum, double decay)
    {
        private readonly Tensor[] _velocity = [.. parameters.Select(parameter => zeros_like(parameter))];

        public void Step(int step)
        {
            using var noGradient = no_grad();
            foreach (var (parameter, velocity) in parameters.Zip(_velocity))
            {
                velocity.mul_(momentum).add_(parameter.grad! + (parameter * decay));
                parameter.sub_(velocity * rate);
            }
        }
    }

    private sealed class Adam(Tensor[] parameters, double rate, double decay)
    {
        private readonly Tensor[] _first = [.. parameters.Select(parameter => zeros_like(parameter))];
        private readonly Tensor[] _second = [.. parameters.Select(parameter => zeros_like(parameter))];

        public void Step(int step)
        {
            using var noGradient = no_grad();
            for (var index = 0; index < parameters.Length; index++)
            {
                var (parameter, gradient) = (parameters[index], parameters[index].grad!);
                parameter.mul_(1 - (rate * decay));
                _first[index].mul_(0.9).add_(gradient * 0.1);
                _second[index].mul_(0.999).add_(gradient.square() * 0.001);
                var spread = (_second[index] / (1 - Math.Pow(0.999, step))).sqrt() + 1e-8;
                parameter.sub_(_first[index] / (1 - Math.Pow(0.9, step)) / spread * rate);
            }
        }
    }
}
