using System.Text;

namespace RegCache.Lab.Pooling.Language;

/// <summary>Writes text with a language model, a character at a time, and shows where it pools.</summary>
/// <param name="folder">The model.</param>
/// <param name="temperature">Logits are divided by it; 0 takes the most probable character.</param>
/// <param name="context">Most characters that the model reads at a time.</param>
/// <param name="seed">The seed of the choices.</param>
public sealed class LmSampler(LmModelFolder folder, double temperature, int context, long seed)
{
    private const long Purpose = 606;

    /// <summary>What stands behind a character that closes a segment.</summary>
    public const char Boundary = '|';

    /// <summary>Goes on from a text.</summary>
    /// <param name="prompt">The text so far, at least one character, in the model's symbols.</param>
    /// <param name="count">Characters to write.</param>
    /// <param name="progress">Called with the characters written so far.</param>
    /// <param name="cancellation">Stops between two characters.</param>
    /// <returns>Prompt and continuation, with a mark behind every character that closes a segment.</returns>
    /// <exception cref="UserException">The prompt is empty or has a character that is no symbol.</exception>
    public string Write(string prompt, int count, Action<long>? progress = null, CancellationToken cancellation = default)
    {
        if (prompt.Length == 0)
        {
            throw new UserException("The prompt is empty: give at least one character to go on from.");
        }

        using var noGradient = torch.no_grad();
        var random = CounterRandom.Of(seed, Purpose, 0);
        var text = folder.Vocabulary.Encode(Encoding.Latin1.GetBytes(prompt), "the prompt").ToList();
        var closes = new List<bool>();
        for (var written = 0; written <= count; written++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = torch.NewDisposeScope();
            var (logits, marks) = Read(text);

            // A boundary that has been told stays, as the model has read on from it. Boundaries see no later characters, so windows agree on them.
            closes.AddRange(marks.TakeLast(text.Count - closes.Count));
            if (written < count)
            {
                text.Add(Choose(logits, random.NextUnit()));
                progress?.Invoke(written + 1);
            }
        }

        var result = new StringBuilder();
        foreach (var (character, isClosed) in folder.Vocabulary.Decode(text.ToArray()).Zip(closes))
        {
            result.Append(character);
            if (isClosed)
            {
                result.Append(Boundary);
            }
        }

        return result.ToString();
    }

    private (Tensor Logits, bool[] Closes) Read(List<byte> text)
    {
        var length = Math.Min(context, text.Count);
        var device = folder.Model.Weights["word_emb.weight"].device;
        var given = folder.Model.Config.Type.Learn is null ? folder.Boundaries?.Of([.. text]).TakeLast(length).ToArray() : null;
        var output = folder.Model.Forward(new(torch.tensor(text.TakeLast(length).Select(symbol => (long)symbol).ToArray(), [length, 1], device: device))
        {
            Boundaries = given is null ? null : torch.tensor(given, [length, 1], device: device),
        });
        return (output.Logits.select(0, -1).select(0, 0), output.Boundaries?.select(0, 0).cpu().data<bool>().ToArray() ?? new bool[length]);
    }

    private byte Choose(Tensor logits, double uniform)
    {
        if (temperature == 0)
        {
            return (byte)logits.argmax().item<long>();
        }

        var shares = (logits / temperature).softmax(-1).cpu().data<float>().ToArray();
        var sum = 0.0;
        for (var symbol = 0; symbol < shares.Length; symbol++)
        {
            sum += shares[symbol];
            if (uniform < sum)
            {
                return (byte)symbol;
            }
        }

        return (byte)(shares.Length - 1);
    }
}
