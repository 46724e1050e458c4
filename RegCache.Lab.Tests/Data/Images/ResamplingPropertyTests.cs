using FsCheck;
using FsCheck.Fluent;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Data.Images.Resampling;

namespace RegCache.Lab.Tests.Data.Images;

public sealed class ResamplingPropertyTests
{
    private static readonly Arbitrary<Resize> Resizes = Arb.From(
        from width in Gen.Frequency((6, Gen.Choose(1, 70)), (1, Gen.Choose(300, 700)))
        from height in Gen.Choose(1, 60)
        from newWidth in Gen.Choose(1, 80)
        from newHeight in Gen.Choose(1, 50)
        from seed in Gen.Choose(0, int.MaxValue - 1)
        from channels in Gen.Elements(3, 4)
        from interpolation in Gen.Elements(Interpolation.Bicubic, Interpolation.Bilinear)
        select new Resize(width, height, newWidth, newHeight, channels, seed, interpolation));

    [Fact]
    public void AllInstructionSetsGiveTheBytesOfPlainArithmetic() =>
        Prop.ForAll(Resizes, resize =>
        {
            var expected = resize.PlainArithmetic();
            return Enum.GetValues<InstructionSet>().Where(InstructionSets.IsSupported)
                .All(instructions => resize.Run(resize.Whole, instructions).AsSpan().SequenceEqual(expected));
        }).Check(RandomTensors.Properties.WithMaxTest(300));

    [Fact]
    public void ACropChangesNoByte() =>
        Prop.ForAll(Resizes, resize =>
        {
            var random = new Random(resize.Seed);
            var left = random.Next(resize.NewWidth);
            var top = random.Next(resize.NewHeight);
            var box = new CropBox(
                left, top, random.Next(resize.NewWidth - left) + 1, random.Next(resize.NewHeight - top) + 1);
            var whole = resize.Run(resize.Whole, InstructionSets.Best);
            var part = resize.Run(box, InstructionSets.Best);
            var rowBytes = box.Width * resize.Channels;
            return Enumerable.Range(0, box.Height).All(y =>
                whole.AsSpan((((top + y) * resize.NewWidth) + left) * resize.Channels, rowBytes)
                    .SequenceEqual(part.AsSpan(y * rowBytes, rowBytes)));
        }).Check(RandomTensors.Properties.WithMaxTest(200));

    [Fact]
    public void AConstantImageStaysConstant() =>
        Prop.ForAll(Resizes, resize =>
        {
            var value = (byte)resize.Seed;
            var source = new byte[(resize.Width * resize.Height * resize.Channels) + DecodedImage.Padding];
            source.AsSpan().Fill(value);
            return Enum.GetValues<InstructionSet>().Where(InstructionSets.IsSupported)
                .All(instructions => !resize.Run(resize.Whole, instructions, source).AsSpan().ContainsAnyExcept(value));
        }).Check(RandomTensors.Properties.WithMaxTest(100));

    [Fact]
    public void NothingIsWrittenOutsideTheTarget() =>
        Prop.ForAll(Resizes, resize =>
        {
            var rowBytes = resize.NewWidth * resize.Channels;
            var stride = rowBytes + 5;
            return Enum.GetValues<InstructionSet>().Where(InstructionSets.IsSupported).All(instructions =>
            {
                var target = new byte[(resize.NewHeight * stride) + 64];
                target.AsSpan().Fill(0xA5);
                ByteResampler.Run(
                    resize.Plan(resize.Whole), resize.Source(), resize.Width * resize.Channels, resize.Channels,
                    target.AsSpan(32, target.Length - 64), stride, instructions);
                return !target.AsSpan(0, 32).ContainsAnyExcept((byte)0xA5)
                    && Enumerable.Range(0, resize.NewHeight).All(y =>
                        !target.AsSpan(32 + (y * stride) + rowBytes, 5).ContainsAnyExcept((byte)0xA5));
            });
        }).Check(RandomTensors.Properties.WithMaxTest(100));

    /// <summary>A resize of random pixels.</summary>
    private sealed record Resize(
        int Width, int Height, int NewWidth, int NewHeight, int Channels, int Seed, Interpolation Interpolation)
    {
        public CropBox Whole => new(0, 0, NewWidth, NewHeight);

        public byte[] Source()
        {
            var pixels = new byte[(Width * Height * Channels) + DecodedImage.Padding];
            var random = new Random(Seed);
            random.NextBytes(pixels);
            if (Seed % 3 == 0)
            {
                // Only black and white: the most overshoot.
                for (var i = 0; i < pixels.Length; i++)
                {
                    pixels[i] = pixels[i] < 128 ? (byte)0 : (byte)255;
                }
            }

            return pixels;
        }

        public ResamplePlan Plan(CropBox visible) =>
            ResamplePlan.For(Width, Height, NewWidth, NewHeight, visible, Interpolation);

        public byte[] Run(CropBox visible, InstructionSet instructions, byte[]? source = null)
        {
            var rowBytes = visible.Width * Channels;
            var target = new byte[rowBytes * visible.Height];
            ByteResampler.Run(
                Plan(visible), source ?? Source(), Width * Channels, Channels, target, rowBytes, instructions);
            return target;
        }

        /// <summary>The two passes written down as in the specification, in 64-bit integers.</summary>
        public byte[] PlainArithmetic()
        {
            var rows = Pass(Source(), Width, NewWidth, Height, Channels, Width * Channels, NewWidth * Channels, Channels);
            return Pass(rows, Height, NewHeight, NewWidth, NewWidth * Channels, Channels, Channels, NewWidth * Channels);
        }

        private byte[] Pass(
            byte[] source, int length, int newLength, int lines, int step, int lineStep, int newLineStep, int newStep)
        {
            if (length == newLength)
            {
                return source[..(length * lines * Channels)];
            }

            var axis = new AxisWeights(length, newLength, 0, newLength, Interpolation);
            var target = new byte[newLength * lines * Channels];
            for (var i = 0; i < newLength; i++)
            {
                var weights = axis.Exact(i);
                for (var line = 0; line < lines; line++)
                {
                    for (var channel = 0; channel < Channels; channel++)
                    {
                        var sum = 1L << 21;
                        for (var tap = 0; tap < weights.Length; tap++)
                        {
                            sum += (long)AxisWeights.ToFixed(weights[tap])
                                * source[(line * lineStep) + ((axis.Start[i] + tap) * step) + channel];
                        }

                        target[(line * newLineStep) + (i * newStep) + channel] = (byte)Math.Clamp(sum >> 22, 0, 255);
                    }
                }
            }

            return target;
        }
    }
}
