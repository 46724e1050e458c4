using RegCache.Lab.Encoders.Text;

namespace RegCache.Lab.Tests.Encoders.Text;

/// <summary>Character references, repairs, composition and lower case, by rules of the standards.</summary>
public class TextTests
{
    [Theory]
    [InlineData("&amp;&lt;&gt;&quot;", "&<>\"")]
    [InlineData("&eacute;&Eacute", "éÉ")]
    [InlineData("&notit;", "¬it;")]
    [InlineData("&notin;", "∉")]
    [InlineData("&ampamp;", "&amp;")]
    [InlineData("&bogus; & &; &x", "&bogus; & &; &x")]
    [InlineData("&NotEqualTilde;", "\u2242\u0338")]
    [InlineData("&#65;&#x41;&#X41&#65x", "AAAAx")]
    [InlineData("&#128;&#150;&#129;", "€–\u0081")]
    [InlineData("&#0;&#xD800;&#x110000;&#99999999999999999999;", "\uFFFD\uFFFD\uFFFD\uFFFD")]
    [InlineData("&#1;&#11;&#127;&#xFFFE;&#xFDD0;&#x1FFFF;", "")]
    [InlineData("&#13;&#10;", "\r\n")]
    [InlineData("&#x1F600;", "😀")]
    [InlineData("&# &#x &#;", "&# &#x &#;")]
    public void CharacterReferences(string text, string expected) => Assert.Equal(expected, Html.Unescape(text));

    [Theory]
    [InlineData("&amp;amp;lt;", "<")]
    [InlineData("&amp;lt; <b>", "&amp;lt; <b>")]
    [InlineData("&ampx &eacute;", "&ampx é")]
    [InlineData("&#59;", "&#59;")]
    [InlineData("ŒĲĳǅŉ ﬃﬅﬆ", "ŒIJijDžŉ ffiſtst")]
    [InlineData("ＡＢ\u3000ｱ￥", "AB ア¥")]
    [InlineData("a\r\rb\u2028c\u2029d\u0085e", "a\n\nb\nc\nd\ne")]
    [InlineData("\u0000a\u200Bb\uFEFF\u206A\uFFFC\u007F\u000C\t", "a\u200Bb\u000C\t")]
    [InlineData("\u001B[1;31mred\u001B[0m\u001B", "red")]
    [InlineData("ʼ‛‟", "''\"")]
    public void Repairs(string text, string expected) => Assert.Equal(expected, TextFixer.Fix(text));

    [Theory]
    [InlineData("cafe\u0301", "café")]
    [InlineData("q\u0323\u0307 q\u0307\u0323", "q\u0323\u0307 q\u0323\u0307")]
    [InlineData("\u1E9B\u0323", "\u1E9B\u0323")]
    [InlineData("\u1100\u1161\u11A8 \u1100\u1161", "\uAC01 \uAC00")]
    [InlineData("\u212B\u2126\uF900", "Å\u03A9\u8C48")]
    [InlineData("\u0958", "\u0915\u093C")]
    [InlineData("\u0344", "\u0308\u0301")]
    [InlineData("a\u0315\u0300\u05AE\u0301", "à\u05AE\u0301\u0315")]
    [InlineData("\uD834\uDD5E", "\uD834\uDD57\uD834\uDD65")]
    [InlineData("e\u0301\uFFFEe\u0301", "é\uFFFEé")]
    public void Composition(string text, string expected) => Assert.Equal(expected, UnicodeText.Compose(text));

    [Fact]
    public void CompositionReplacesHalvesOfSurrogatePairs() => Assert.Equal("x\uFFFDy", UnicodeText.Compose("x\uD800y"));

    [Theory]
    [InlineData("ABC ÄÖ ẞ", "abc äö ß")]
    [InlineData("İI", "i\u0307i")]
    [InlineData("ΟΔΥΣΣΕΥΣ Σ ΑΣ.", "οδυσσευς σ ας.")]
    [InlineData("ΑΣ'Α ΑΣ' Σ\u0301", "ασ'α ας' σ\u0301")]
    [InlineData("Ǆǅ ⅣⒶ Ꭰ 𐐀", "ǆǆ ⅳⓐ ꭰ 𐐨")]
    [InlineData("K", "k")]
    public void LowerCase(string text, string expected) => Assert.Equal(expected, UnicodeText.ToLower(text));

    [Theory]
    [InlineData(" a\u001C\u0085\u00A0\u2003\u3000b\n", "a b")]
    [InlineData("\u200B", "\u200B")]
    [InlineData(" \t ", "")]
    public void WhiteSpace(string text, string expected) => Assert.Equal(expected, UnicodeText.CollapseSpaces(text));

    [Theory]
    [InlineData("it's don'T'ſ", "it|'s|don|'T|'ſ")]
    [InlineData("a1²Ⅳ½", "a|1|²|Ⅳ|½")]
    [InlineData("हिन्दी", "ह|ि|न|्|द|ी")]
    [InlineData("𝐀𝐁!?… x", "𝐀𝐁|!?…|x")]
    [InlineData("<start_of_text>a<END_OF_TEXT>", "<start_of_text>|a|<END_OF_TEXT>")]
    public void Pieces(string text, string expected) => Assert.Equal(
        expected.Split('|'), PreTokenizer.Split(text, ["<start_of_text>", "<end_of_text>"]).Select(range => text[range]));
}
