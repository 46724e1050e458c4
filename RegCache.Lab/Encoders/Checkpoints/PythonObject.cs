namespace RegCache.Lab.Encoders.Checkpoints;

/// <summary>An object of a TorchScript archive: nothing but a class name and attributes. It has no behaviour.</summary>
/// <param name="ClassName">The class as the archive names it, for example "__torch__.multimodal.model.VisualTransformer".</param>
public sealed record PythonObject(string ClassName)
{
    /// <summary>The attributes in the archive's order.</summary>
    public PythonDict Attributes { get; } = new();
}
