using System.Text.Json;
using RegCache.Lab.Encoders;
using RegCache.Lab.Training;
using TorchSharp;

namespace RegCache.Lab.Tests.Training;

[Trait("Category", "Golden")]
public class OptimizationGoldenTests
{
    [Fact]
    public void LearningRates()
    {
        var cases = Read("lr_schedules.json").EnumerateArray().ToArray();
        Assert.NotEmpty(cases);
        foreach (var item in cases)
        {
            var schedule = Schedule(item);
            var values = item.GetProperty("values").EnumerateArray().Select(value => value.GetDouble()).ToArray();
            for (var step = 0; step < values.Length; step++)
            {
                Assert.Equal(values[step], schedule.At(step), 1e-12);
            }

            if (item.GetProperty("last").ValueKind == JsonValueKind.Number)
            {
                Assert.Equal(item.GetProperty("last").GetDouble(), schedule.At(item.GetProperty("steps").GetInt64() - 1), 1e-12);
            }
        }
    }

    [Fact]
    public void ParameterGroupsMatch()
    {
        var golden = Read("param_groups.json");
        var shapes = golden.GetProperty("state_dict_shapes").EnumerateObject()
            .ToDictionary(item => item.Name, item => item.Value.EnumerateArray().Select(size => size.GetInt64()).ToArray());
        var names = Strings(golden, "named_parameters");
        using var weights = new WeightTable("golden", names.Select(name => KeyValuePair.Create(name, torch.zeros(shapes[name]).requires_grad_())));
        var groups = ParameterGroups.Of(weights, 0.2);
        Assert.Equal([0, 0.2], groups.Select(group => group.WeightDecay));
        Assert.Equal(Strings(golden, "no_decay").Order(), groups[0].Parameters.Select(parameter => parameter.Name).Order());
        Assert.Equal(Strings(golden, "decay").Order(), groups[1].Parameters.Select(parameter => parameter.Name).Order());
    }

    internal static JsonElement Read(string file)
    {
        using var json = JsonDocument.Parse(File.ReadAllText(Goldens.Path("clip", file)));
        return json.RootElement.Clone();
    }

    private static LearningRateSchedule Schedule(JsonElement item)
    {
        var (rate, warmup, steps) = (item.GetProperty("base_lr").GetDouble(), item.GetProperty("warmup").GetInt64(), item.GetProperty("steps").GetInt64());
        return item.GetProperty("kind").GetString() switch
        {
            "cosine" => new CosineSchedule(rate, warmup, steps),
            "const" => new ConstantSchedule(rate, warmup),
            "const-cooldown" => new CooldownSchedule(
                rate, warmup, steps, item.GetProperty("cooldown").GetInt64(), item.GetProperty("power").GetDouble(), item.GetProperty("end").GetDouble()),
            var other => throw new InvalidDataException(other),
        };
    }

    private static string[] Strings(JsonElement json, string name) =>
        [.. json.GetProperty(name).EnumerateArray().Select(item => item.GetString()!)];
}
