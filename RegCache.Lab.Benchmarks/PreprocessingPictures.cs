using System.Runtime.InteropServices;

namespace RegCache.Lab.Benchmarks;

/// <summary>Photograph-like JPEG files: noise of several scales, about as hard to decode as photographs of their size.</summary>
internal static unsafe partial class PreprocessingPictures
{
    private const string Library = "libturbojpeg.so.0";
    private const int Width = 500, Height = 375;
    private const int SmallestSide = 300, LargestSide = 1200, LargePictures = 16;
    private const int FormatRgb = 0, Subsampling420 = 2, Quality = 92, NoReallocation = 1024;

    /// <summary>Writes <paramref name="count"/> different files of 500x375 pixels and returns their paths.</summary>
    public static string[] Write(string folder, int count)
    {
        var files = new string[count];
        for (var i = 0; i < count; i++)
        {
            files[i] = Path.Combine(folder, $"{i:D4}.jpg");
            File.WriteAllBytes(files[i], Make(Width, Height, i));
        }

        return files;
    }

    /// <summary>
    /// Writes <paramref name="count"/> files of 300 to 1200 pixels a side into ten class folders: windows of a few large pictures,
    /// because noise takes longer to make than to encode.
    /// </summary>
    public static void WriteClasses(string folder, int count)
    {
        byte[][] large = [.. Enumerable.Range(0, LargePictures).AsParallel().Select(seed => Picture(LargestSide, LargestSide, new Random(seed)))];
        Parallel.For(0, count, number =>
        {
            var random = CounterRandom.Of(seed: 0, purpose: 0, number);
            int Draw(int least, int most) => least + random.NextIndex(most - least + 1);
            var (width, height) = (Draw(SmallestSide, LargestSide), Draw(SmallestSide, LargestSide));
            var (left, top) = (Draw(0, LargestSide - width), Draw(0, LargestSide - height));
            var window = new byte[width * height * 3];
            for (var y = 0; y < height; y++)
            {
                large[number % LargePictures].AsSpan(3 * (((top + y) * LargestSide) + left), 3 * width).CopyTo(window.AsSpan(3 * y * width));
            }

            var path = Path.Combine(folder, $"class-{number % 10}", $"{number:D5}.jpg");
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllBytes(path, Encode(window, width, height));
        });
    }

    /// <summary>One JPEG of the given size.</summary>
    public static byte[] Make(int width, int height, int seed) => Encode(Picture(width, height, new Random(seed)), width, height);

    private static byte[] Picture(int width, int height, Random random)
    {
        var values = new float[width * height * 3];
        for (var scale = 2; scale <= 128; scale *= 2)
        {
            AddNoise(values, width, height, scale, 3 * MathF.Pow(scale, 0.6f), random);
        }

        return Array.ConvertAll(values, value => (byte)Math.Clamp(value + 120, 0, 255));
    }

    /// <summary>Adds noise that is interpolated between points <paramref name="scale"/> pixels apart.</summary>
    private static void AddNoise(float[] values, int width, int height, int scale, float strength, Random random)
    {
        var columns = (width / scale) + 2;
        var grid = new float[columns * ((height / scale) + 2) * 3];
        for (var i = 0; i < grid.Length; i++)
        {
            grid[i] = strength * ((4 * random.NextSingle()) - 2);
        }

        for (var y = 0; y < height; y++)
        {
            for (var x = 0; x < width; x++)
            {
                var cell = 3 * ((y / scale * columns) + (x / scale));
                float right = x % scale / (float)scale, down = y % scale / (float)scale;
                for (var c = 0; c < 3; c++, cell++)
                {
                    var top = float.Lerp(grid[cell], grid[cell + 3], right);
                    var bottom = float.Lerp(grid[cell + (3 * columns)], grid[cell + (3 * columns) + 3], right);
                    values[(3 * ((y * width) + x)) + c] += float.Lerp(top, bottom, down);
                }
            }
        }
    }

    private static byte[] Encode(byte[] pixels, int width, int height)
    {
        var handle = Create();
        try
        {
            var length = BufferSize(width, height, Subsampling420);
            var jpeg = new byte[(int)length.Value];
            fixed (byte* source = pixels)
            fixed (byte* target = jpeg)
            {
                var buffer = target;
                var code = Compress(
                    handle, source, width, 0, height, FormatRgb, &buffer, ref length, Subsampling420, Quality, NoReallocation);
                return code == 0 ? jpeg[..(int)length.Value] : throw new InvalidOperationException("TurboJPEG could not encode.");
            }
        }
        finally
        {
            _ = Destroy(handle);
        }
    }

    [LibraryImport(Library, EntryPoint = "tjInitCompress")]
    private static partial nint Create();

    [LibraryImport(Library, EntryPoint = "tjDestroy")]
    private static partial int Destroy(nint handle);

    [LibraryImport(Library, EntryPoint = "tjBufSize")]
    private static partial CULong BufferSize(int width, int height, int subsampling);

    [LibraryImport(Library, EntryPoint = "tjCompress2")]
    private static partial int Compress(
        nint handle, byte* source, int width, int pitch, int height, int format, byte** target, ref CULong length,
        int subsampling, int quality, int flags);
}
