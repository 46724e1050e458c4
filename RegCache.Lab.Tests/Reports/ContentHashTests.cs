using System.Security.Cryptography;
using RegCache.Lab.Reports;
using Xunit;

namespace RegCache.Lab.Tests.Reports;

public sealed class ContentHashTests
{
    [Fact]
    public void IsTheSha256OfTheBytes()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["abc"], "abc");
        Assert.Equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", ContentHash.OfFile(folder["abc"]));

        var large = new byte[3_000_001];
        new Random(1).NextBytes(large);
        File.WriteAllBytes(folder["large"], large);
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(large)), ContentHash.OfFile(folder["large"]));
    }

    [Fact]
    public void AMissingFileIsNamed()
    {
        using var folder = new TemporaryFolder();
        var error = Assert.Throws<UserException>(() => ContentHash.OfFile(folder["none"]));
        Assert.Contains(folder["none"], error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void CanBeCancelled()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["abc"], "abc");
        Assert.Throws<OperationCanceledException>(() => ContentHash.OfFile(folder["abc"], new CancellationToken(canceled: true)));
    }
}
