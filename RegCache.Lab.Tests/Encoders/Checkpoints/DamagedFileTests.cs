using FsCheck;
using FsCheck.Fluent;
using RegCache.Lab.Encoders.Checkpoints;

namespace RegCache.Lab.Tests.Encoders.Checkpoints;

/// <summary>Whatever happens to a file, opening and reading it either works or ends in one sentence for the user.</summary>
public sealed class DamagedFileTests : IDisposable
{
    private const int Trials = 200;

    // Made here: a checkpoint with all kinds of objects beside its tensor.
    private const string Objects = "objects";

    private readonly TemporaryFolder _folder = new();

    public static TheoryData<string> Files { get; } =
    [
        "state.pt", "state_legacy.pt", "odd_tensors.pt", "torchscript.pt", "hf_clip_model.safetensors", "expected_odd_tensors.safetensors", Objects,
    ];

    public void Dispose() => _folder.Dispose();

    [Theory]
    [MemberData(nameof(Files))]
    public void ChangedBytes(string name)
    {
        var original = Original(name);
        var change = Position(original.Length).SelectMany(at => Gen.Choose(0, 255).Select(value => (at, (byte)value)));
        Check(change.NonEmptyListOf(), changes =>
        {
            var bytes = original.ToArray();
            foreach (var (at, value) in changes.Take(8))
            {
                bytes[at] = value;
            }

            return bytes;
        });
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void CutShort(string name)
    {
        var original = Original(name);
        Check(Position(original.Length), length => original[..length]);
    }

    [Theory]
    [MemberData(nameof(Files))]
    public void CutAnywhereIsAlwaysNoticed(string name)
    {
        var original = Original(name);
        foreach (var length in new[] { 0, 1, 7, 8, 30, original.Length / 2, original.Length - 1 })
        {
            var path = Write(original[..length]);
            Assert.Throws<UserException>(() => WeightFile.Open(path));
        }
    }

    private byte[] Original(string name) =>
        File.ReadAllBytes(name == Objects ? PickledObjects.Checkpoint().WriteZip(_folder["objects.pt"]) : Goldens.Path("clip", "pt", name));

    // Half of the positions near the ends, where headers and directories are.
    private static Gen<int> Position(int length) => Gen.OneOf(
        Gen.Choose(0, length - 1), Gen.Choose(0, Math.Min(length, 2048) - 1), Gen.Choose(Math.Max(0, length - 2048), length - 1));

    private void Check<T>(Gen<T> generator, Func<T, byte[]> damage)
    {
        var property = Prop.ForAll(Arb.From(generator), input => ReadsOrComplains(damage(input)));
        property.Check(RandomTensors.Properties.WithMaxTest(Trials));
    }

    private bool ReadsOrComplains(byte[] bytes)
    {
        try
        {
            using var file = WeightFile.Open(Write(bytes));
            foreach (var tensor in file.Tensors)
            {
                tensor.ToSingles();
            }

            StateDictLoader.Load(file);
            return true;
        }
        catch (UserException error)
        {
            return error.Message.EndsWith('.') && !error.Message.Contains('\n', StringComparison.Ordinal);
        }
    }

    private string Write(byte[] bytes)
    {
        var path = _folder["damaged.bin"];
        File.WriteAllBytes(path, bytes);
        return path;
    }
}
