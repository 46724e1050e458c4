using RegCache.Lab.Encoders;
using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Notebooks.Pictures;

/// <summary>
/// Pictures of what a memory layer does with an image: every patch tinted by the slot that it reads most. Slots have the same colour in all
/// images, and those that few patches read are left untinted, so that a colour means something.
/// </summary>
/// <param name="Block">The block of the memory, 0-based.</param>
/// <param name="Columns">Columns of the patch grid.</param>
/// <param name="Slots">For each image the slot of every patch, row-major.</param>
public sealed record SlotPicture(int Block, int Columns, IReadOnlyList<IReadOnlyList<int>> Slots)
{
    /// <summary>Finds the slots in the float encoder.</summary>
    /// <param name="tower">The encoder; the block has a memory.</param>
    /// <param name="images">Normalised images [B,3,H,W].</param>
    /// <param name="block">The block.</param>
    /// <param name="head">The reading head.</param>
    /// <exception cref="UserException">The block has no memory.</exception>
    public static SlotPicture Of(VisionTower tower, Tensor images, int block, int head = 0)
    {
        ArgumentNullException.ThrowIfNull(tower);
        if (tower.Config.Memory is not { } memory || !memory.Blocks.Contains(block))
        {
            throw new UserException($"Block {block} has no memory, so no patch reads slots there.");
        }

        using var slots = Activations.Of(tower, images, block, ActivationKind.MemorySlots);
        using var scope = torch.NewDisposeScope();
        var special = tower.Config.ClassTokens;

        // A head's slots are ordered by their weight, the largest first.
        var first = slots.narrow(1, special, slots.shape[1] - special).select(2, head).select(2, 0).contiguous();
        return new(block, tower.Config.Grid.Width, [.. first.data<float>().ToArray().Select(slot => (int)slot).Chunk((int)first.shape[1])]);
    }

    /// <summary>The slots by how many patches read them most, the largest number first.</summary>
    public IReadOnlyList<(int Slot, int Patches)> MostRead =>
        [.. Slots.SelectMany(image => image).CountBy(slot => slot).OrderByDescending(count => count.Value).ThenBy(count => count.Key).Select(count => (count.Key, count.Value))];

    /// <summary>The images with their patches tinted.</summary>
    /// <param name="pictures">Pixels [height,width,3] of the images.</param>
    /// <param name="width">Columns of an image.</param>
    /// <param name="colors">How many slots have a colour.</param>
    public IReadOnlyList<byte[]> Draw(IReadOnlyList<byte[]> pictures, int width, int colors = 12)
    {
        var tints = MostRead.Take(colors).Select(slot => slot.Slot).Zip(MergePicture.EdgeColors(colors)).ToDictionary(pair => pair.First, pair => pair.Second);
        return [.. pictures.Select((picture, image) => Tint(picture, width, Slots[image], tints))];
    }

    private byte[] Tint(byte[] picture, int width, IReadOnlyList<int> slots, Dictionary<int, (double Red, double Green, double Blue)> tints)
    {
        var (height, rows) = (picture.Length / 3 / width, slots.Count / Columns);
        byte[] tinted = [.. picture];
        for (var pixel = 0; pixel < height * width; pixel++)
        {
            var (y, x) = Math.DivRem(pixel, width);
            if (tints.TryGetValue(slots[(y * rows / height * Columns) + (x * Columns / width)], out var tint))
            {
                foreach (var (channel, value) in new[] { tint.Red, tint.Green, tint.Blue }.Index())
                {
                    tinted[(pixel * 3) + channel] = (byte)((picture[(pixel * 3) + channel] + (value * 255)) / 2);
                }
            }
        }

        return tinted;
    }
}
