using System.Collections.Concurrent;

namespace RegCache.Lab.Data.Images.Resampling;

/// <summary>The passes that take an image of one size to the visible part of a resized one.</summary>
internal sealed class ResamplePlan
{
    // Files of a data set share few sizes; more than this many are not worth their memory.
    private const int MostKept = 64;

    private static readonly ConcurrentDictionary<Key, ResamplePlan> Kept = new();

    private readonly Key _key;
    private readonly Lazy<AxisWeights?> _columns;
    private readonly Lazy<AxisWeights?> _rows;
    private readonly Lazy<HorizontalPass?> _horizontal;
    private readonly Lazy<VerticalPass?> _vertical;

    private ResamplePlan(Key key)
    {
        _key = key;
        _columns = new(() => key.Width == key.ResizedWidth
            ? null
            : new AxisWeights(key.Width, key.ResizedWidth, key.Visible.Left, key.Visible.Width, key.Interpolation));
        _rows = new(() => key.Height == key.ResizedHeight
            ? null
            : new AxisWeights(key.Height, key.ResizedHeight, key.Visible.Top, key.Visible.Height, key.Interpolation));
        _horizontal = new(() => _columns.Value is { } axis ? new HorizontalPass(axis) : null);
        _vertical = new(() => _rows.Value is { } axis ? new VerticalPass(axis) : null);
    }

    /// <summary>The part of the resized image that is computed.</summary>
    public CropBox Visible => _key.Visible;

    /// <summary>Whether neither side changes its length.</summary>
    public bool IsCopy => _key.Width == _key.ResizedWidth && _key.Height == _key.ResizedHeight;

    /// <summary>The windows across, null when the width stays.</summary>
    public AxisWeights? Columns => _columns.Value;

    /// <summary>The windows down, null when the height stays.</summary>
    public AxisWeights? Rows => _rows.Value;

    /// <summary>The pass across, null when the width stays.</summary>
    public HorizontalPass? Horizontal => _horizontal.Value;

    /// <summary>The pass down, null when the height stays.</summary>
    public VerticalPass? Vertical => _vertical.Value;

    /// <summary>The plan for these sizes, made once.</summary>
    public static ResamplePlan For(
        int width, int height, int resizedWidth, int resizedHeight, CropBox visible, Interpolation interpolation)
    {
        if (Kept.Count >= MostKept)
        {
            Kept.Clear();
        }

        return Kept.GetOrAdd(
            new Key(width, height, resizedWidth, resizedHeight, visible, interpolation), key => new ResamplePlan(key));
    }

    /// <summary>The nearest source columns of the visible ones.</summary>
    public int[] NearestColumns() =>
        NearestResampler.SourceIndices(_key.Width, _key.ResizedWidth, Visible.Left, Visible.Width);

    /// <summary>The nearest source rows of the visible ones.</summary>
    public int[] NearestRows() =>
        NearestResampler.SourceIndices(_key.Height, _key.ResizedHeight, Visible.Top, Visible.Height);

    private readonly record struct Key(
        int Width, int Height, int ResizedWidth, int ResizedHeight, CropBox Visible, Interpolation Interpolation);
}
