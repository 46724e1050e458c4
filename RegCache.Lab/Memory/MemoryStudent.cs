using RegCache.Lab.Encoders;
using RegCache.Lab.Encoders.Checkpoints;

namespace RegCache.Lab.Memory;

/// <summary>
/// Students of a CLIP model: copies of it whose vision tower has memory layers in place of some MLPs. The text tower never has any
/// (docs/methods/memory.md, "Student").
/// </summary>
public static class MemoryStudent
{
    /// <summary>
    /// A student of a teacher: every tensor is the teacher's, but the MLPs of the blocks with a memory, in whose place fresh memory layers
    /// stand. The teacher keeps its own tensors.
    /// </summary>
    /// <param name="teacher">The teacher.</param>
    /// <param name="memory">The memory layers.</param>
    /// <param name="start">How they are drawn.</param>
    /// <param name="seed">The seed of the draw.</param>
    /// <exception cref="UserException">The memory does not fit the tower, or the teacher has memory layers itself.</exception>
    public static ClipModel Of(ClipModel teacher, MemoryConfig memory, MemoryStart start, long seed)
    {
        ArgumentNullException.ThrowIfNull(teacher);
        var vision = teacher.Config.Vision;
        if (vision.Memory is not null)
        {
            throw new UserException($"{teacher.Weights.Source} has memory layers itself, so it cannot be the teacher of a memory; give a plain CLIP model.");
        }

        var config = teacher.Config with { Vision = vision with { Memory = memory.Validated(vision, "memory") } };
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        string[] names = [.. ClipParameters.Of(config).Select(parameter => parameter.Name)];
        var shapes = ClipParameters.Of(config).ToDictionary(parameter => parameter.Name, parameter => parameter.Shape);
        bool IsReplaced(string name) => memory.Blocks.Any(block => name.StartsWith(MemoryNames.Slot(block), StringComparison.Ordinal));
        Tensor Make(string name) => MemoryNames.IsMemory(name)
            ? MemoryInitialization.Draw(config.Vision, name, shapes[name], start, seed).to(teacher.Vision.Placement.Device)
            : teacher.Weights[name].detach().clone();
        var tensors = names.Concat(teacher.Weights.Names.Except(names).Where(name => !IsReplaced(name))).Select(name => KeyValuePair.Create(name, Make(name)));
        return new(config, new($"a student of {teacher.Weights.Source}", tensors));
    }

    /// <summary>A model with the vision tower of one and everything else of another, as finetuning begins. Both keep their own tensors.</summary>
    /// <param name="model">Gives the text tower and the logit scale.</param>
    /// <param name="student">Gives the vision tower.</param>
    /// <exception cref="UserException">Their features have different numbers of channels.</exception>
    public static ClipModel WithVisionOf(ClipModel model, ClipModel student)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(student);
        RequireSameFeatures(model, student);
        using var noGradient = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        static bool IsVision(string name) => name.StartsWith("visual.", StringComparison.Ordinal);
        var vision = student.Weights.Names.Where(IsVision).Select(name => KeyValuePair.Create(name, student.Weights[name].detach().clone())).ToArray();
        var first = Array.FindIndex([.. model.Weights.Names], IsVision);
        var others = model.Weights.Names.Select(name => KeyValuePair.Create(name, model.Weights[name])).ToArray();
        return new(
            model.Config with { Vision = student.Config.Vision },
            new WeightTable(
                $"{model.Weights.Source} with the vision tower of {student.Weights.Source}",
                [
                    .. others.Take(first).Select(Copy),
                    .. vision,
                    .. others.Skip(first).Where(pair => !IsVision(pair.Key)).Select(Copy),
                ]));

        static KeyValuePair<string, Tensor> Copy(KeyValuePair<string, Tensor> pair) => new(pair.Key, pair.Value.detach().clone());
    }

    /// <summary>Freezes everything but the memory layers, the shared table included.</summary>
    /// <returns>The names of what is trained, a shared table once.</returns>
    public static IReadOnlyList<string> TrainOnlyMemory(ClipModel student)
    {
        ArgumentNullException.ThrowIfNull(student);
        foreach (var (name, tensor) in student.Weights.Parameters)
        {
            tensor.requires_grad = MemoryNames.IsMemory(name);
        }

        return [.. student.Weights.Parameters.Where(pair => pair.Value.requires_grad).Select(pair => pair.Key)];
    }

    /// <summary>Refuses a student whose image features cannot be compared with its teacher's.</summary>
    /// <exception cref="UserException">They have different numbers of channels.</exception>
    public static void RequireSameFeatures(ClipModel teacher, ClipModel student)
    {
        if (teacher.Config.EmbedDim != student.Config.EmbedDim)
        {
            throw new UserException(
                $"{student.Weights.Source} has features of {student.Config.EmbedDim} channels and {teacher.Weights.Source} of {teacher.Config.EmbedDim}, so one cannot learn from the other; give a student of this teacher.");
        }
    }
}
