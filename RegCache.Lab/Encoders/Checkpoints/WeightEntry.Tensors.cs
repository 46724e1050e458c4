using TorchSharp;
using static TorchSharp.torch;

namespace RegCache.Lab.Encoders.Checkpoints;

/// <content>To and from TorchSharp.</content>
public sealed partial class WeightEntry
{
    /// <summary>
    /// An entry for a tensor of any device, strides and dispose scope. A contiguous CPU tensor is not copied: the entry
    /// shows its memory, and so later changes of it, and must not be used once it is disposed.
    /// </summary>
    /// <exception cref="UserException">The tensor's type is not one that weight files hold.</exception>
    public static WeightEntry FromTensor(string name, torch.Tensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        if (!ScalarTypes.IsSupported(tensor.dtype))
        {
            throw new UserException($"{name} is of type {tensor.dtype}, which weight files cannot hold; convert it to Float32 first.");
        }

        using var scope = NewDisposeScope();
        var packed = tensor.detach().cpu().contiguous().DetachFromDisposeScope();
        var shape = packed.shape;
        return View(name, packed.dtype, shape, new TensorStorage(packed), 0, WeightPart.ContiguousStrides(shape));
    }

    /// <summary>A new CPU tensor with a copy of the elements, in their own type or another.</summary>
    public torch.Tensor ToTensor(ScalarType? type = null)
    {
        using var scope = NewDisposeScope();
        var tensor = empty(_shape, Type);
        Fill(tensor);
        return (type is { } wanted && wanted != Type ? tensor.to(wanted) : tensor).MoveToOuterDisposeScope();
    }

    // A span reaches 2 GiB; larger tensors are filled by groups of rows.
    private void Fill(torch.Tensor tensor)
    {
        if (ByteCount == 0)
        {
            return;
        }

        if (ByteCount <= int.MaxValue)
        {
            CopyTo(tensor.bytes);
            return;
        }

        var rowBytes = ByteCount / _shape[0];
        var step = int.MaxValue / rowBytes;
        if (step == 0)
        {
            throw new UserException($"{Name} of shape {Describe(_shape)} has rows of more than 2 GiB, which is not supported.");
        }

        for (var start = 0L; start < _shape[0]; start += step)
        {
            var count = Math.Min(step, _shape[0] - start);
            using var rows = tensor.narrow(0, start, count);
            Rows(start, count).CopyTo(rows.bytes);
        }
    }
}
