using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Diagnostics;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Data.Images.Decoding;

namespace RegCache.Lab.Tests.Data.Images;

/// <summary>
/// Mutated files by the thousand, in this process: a crash of a native decoder would end the test run. Nothing else runs beside it,
/// for it watches the memory of the process.
/// </summary>
[Collection(ProcessWide.Name)]
public sealed class ImageFuzzTests
{
    private const long MostMemory = 1L << 30;
    private static readonly TimeSpan _longest = TimeSpan.FromSeconds(20);

    [Theory]
    [InlineData("jpeg-", 30_000)]
    [InlineData("png-", 30_000)]
    [InlineData("webp-", 30_000)]
    [InlineData("gif-", 5000)]
    [InlineData("bmp-", 5000)]
    [InlineData("pbm-", 2000)]
    [InlineData("pgm-", 2000)]
    [InlineData("ppm-", 2000)]
    [Trait("Category", "Slow")]
    public void MutatedFilesGivePixelsOrOneSentence(string format, int count)
    {
        byte[][] files =
        [
            .. PillowCases.Files.Where(file => file.StartsWith(format, StringComparison.Ordinal))
                .Select(file => File.ReadAllBytes(Path.Combine(PillowCases.Folder, file))),
        ];
        using var memory = new MemoryWatch();
        var (decoded, refused) = (0, 0);
        var problems = new ConcurrentBag<string>();
        Parallel.For(0, count, number =>
        {
            var random = CounterRandom.Of(seed: 14, purpose: 0, number);
            var mutated = Mutation.Of(files, ref random);
            var clock = Stopwatch.StartNew();
            try
            {
                using var image = Decode(mutated, $"file {number}", ref random);
                Interlocked.Increment(ref decoded);
                if (image.Pixels.Length != image.Width * image.Height * image.BytesPerPixel)
                {
                    problems.Add($"{number}: {image.Pixels.Length} bytes");
                }
            }
            catch (UserException e)
            {
                Interlocked.Increment(ref refused);
                // A decoder that meets something it did not expect is caught, but should not be needed.
                if (e.ConcernsAllInput || e.Message.Contains("Exception:", StringComparison.Ordinal) || !e.Message.Contains($"file {number}", StringComparison.Ordinal))
                {
                    problems.Add($"{number}: {e.Message}");
                }
            }

            if (clock.Elapsed > _longest)
            {
                problems.Add($"{number}: {clock.Elapsed.TotalSeconds:F0} s");
            }
        });
        Assert.Empty(problems);
        Assert.InRange(memory.Most, 0, MostMemory);
        // The mutations are neither all fatal nor all harmless.
        Assert.InRange(decoded, count / 50, count);
        Assert.InRange(refused, count / 50, count);
    }

    private static DecodedImage Decode(byte[] file, string name, ref CounterRandom random)
    {
        var options = new DecodingOptions { TruncatedImages = random.NextBool(0.5) };
        return file is [0xFF, 0xD8, 0xFF, ..] && random.NextBool(0.5)
            ? JpegDecoder.Decode(null, file, name, options)
            : ImageDecoder.Decode(file, name, options);
    }

    /// <summary>Changes of files as damage and malice make them.</summary>
    private static class Mutation
    {
        private static readonly int[] _extremes = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, int.MaxValue, int.MinValue, -1];

        /// <summary>One to four changes of one of the files.</summary>
        public static byte[] Of(byte[][] files, ref CounterRandom random)
        {
            var file = files[random.NextIndex(files.Length)].ToArray();
            for (var changes = 1 + random.NextIndex(4); changes > 0 && file.Length > 0; changes--)
            {
                file = Change(file, files, ref random);
            }

            if (random.NextBool(0.7))
            {
                Mend(file);
            }

            return file;
        }

        private static byte[] Change(byte[] file, byte[][] files, ref CounterRandom random)
        {
            // Half of the places lie in the headers.
            var place = random.NextIndex(random.NextBool(0.5) ? Math.Min(64, file.Length) : file.Length);
            var length = 1 + random.NextIndex(Math.Min(64, file.Length - place));
            switch (random.NextIndex(6))
            {
                case 0:
                    for (var i = 0; i < 3; i++)
                    {
                        file[random.NextIndex(file.Length)] = (byte)random.NextBits();
                    }

                    return file;
                case 1:
                    return file[..random.NextIndex(file.Length + 1)];
                case 2:
                    return [.. file[..place], .. file[(place + length)..]];
                case 3:
                    return [.. file[..(place + length)], .. file[place..]];
                case 4:
                    var other = files[random.NextIndex(files.Length)];
                    return [.. file[..place], .. other[Math.Min(place, other.Length)..]];
                default:
                    Span<byte> number = stackalloc byte[4];
                    BinaryPrimitives.WriteInt32BigEndian(number, _extremes[random.NextIndex(_extremes.Length)]);
                    var size = Math.Min(1 << random.NextIndex(3), file.Length - place);
                    number[^size..].CopyTo(file.AsSpan(place));
                    return file;
            }
        }

        /// <summary>Makes check sums and lengths right again, so that changes get past them.</summary>
        private static void Mend(Span<byte> file)
        {
            if (file is [(byte)'R', (byte)'I', (byte)'F', (byte)'F', _, _, _, _, ..])
            {
                BinaryPrimitives.WriteInt32LittleEndian(file[4..], file.Length - 8);
            }

            if (file is not [0x89, (byte)'P', ..])
            {
                return;
            }

            for (var position = 8; position + 12 <= file.Length;)
            {
                var length = BinaryPrimitives.ReadUInt32BigEndian(file[position..]);
                if (length > file.Length - position - 12)
                {
                    return;
                }

                var content = file.Slice(position + 4, (int)length + 4);
                BinaryPrimitives.WriteUInt32BigEndian(file[(position + 8 + (int)length)..], BadImageTests.CheckSum(content));
                position += 12 + (int)length;
            }
        }
    }

    /// <summary>The most memory that the process took since this was made, beyond what it had then.</summary>
    private sealed class MemoryWatch : IDisposable
    {
        private readonly long _before = Environment.WorkingSet;
        private readonly Timer _timer;
        private long _most;

        public MemoryWatch() => _timer = new Timer(_ => _most = Math.Max(_most, Environment.WorkingSet - _before), null, 0, 2);

        public long Most => Math.Max(_most, Environment.WorkingSet - _before);

        public void Dispose() => _timer.Dispose();
    }
}
