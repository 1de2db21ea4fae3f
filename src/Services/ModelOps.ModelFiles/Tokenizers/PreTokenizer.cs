using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace ModelOps.ModelFiles.Tokenizers;

/// <summary>Cuts a text into the pieces that byte-pair merges never cross.</summary>
internal sealed class PreTokenizer
{
    /// <summary>What SentencePiece writes for a space.</summary>
    public const char SpaceSymbol = '\u2581';

    // A pattern comes from outside: one that backtracks without end must not take the process along.
    private static readonly TimeSpan regexTimeout = TimeSpan.FromSeconds(10);

    private delegate void Step(List<ReadOnlyMemory<char>> pieces, bool atStart, List<ReadOnlyMemory<char>> result);

    private readonly List<Step> steps = [];

    public PreTokenizer(IEnumerable<PreTokenizerStep> description)
    {
        foreach (var step in description)
        {
            switch (step)
            {
                case PreTokenizerStep.Split split:
                    AddCut(split.Pattern, split.Behavior);
                    break;
                case PreTokenizerStep.Digits digits:
                    AddCut(digits.Individual ? @"\p{N}" : @"\p{N}+");
                    break;
                case PreTokenizerStep.ByteLevel byteLevel:
                    if (byteLevel.AddPrefixSpace)
                        steps.Add(AddPrefixSpaces);
                    if (byteLevel.UseRegex)
                        AddCut(PreTokenizerStep.Gpt2Pattern);
                    break;
                case PreTokenizerStep.Metaspace metaspace:
                    steps.Add((pieces, atStart, result) => ReplaceSpaces(metaspace.Prepend, pieces, atStart, result));
                    if (metaspace.Cuts)
                        AddCut(SpaceSymbol.ToString(), SplitBehavior.MergedWithNext);
                    break;
            }
        }
    }

    /// <param name="atStart">Whether the text begins what is encoded.</param>
    public List<ReadOnlyMemory<char>> Cut(ReadOnlyMemory<char> text, bool atStart)
    {
        List<ReadOnlyMemory<char>> pieces = [text], next = [];
        foreach (var step in steps)
        {
            next.Clear();
            step(pieces, atStart, next);
            (pieces, next) = (next, pieces);
        }
        return pieces;
    }

    private void AddCut(string pattern, SplitBehavior behavior = SplitBehavior.Isolated)
    {
        var regex = new Regex(pattern, RegexOptions.CultureInvariant | RegexOptions.Compiled, regexTimeout);
        steps.Add((pieces, _, result) =>
        {
            foreach (var piece in pieces)
                CutAtMatches(regex, piece, behavior, result);
        });
    }

    private static void ReplaceSpaces(PrependScheme prepend, List<ReadOnlyMemory<char>> pieces, bool atStart, List<ReadOnlyMemory<char>> result)
    {
        foreach (var (index, piece) in pieces.Index())
        {
            var text = piece.ToString().Replace(' ', SpaceSymbol);
            var prepends = prepend == PrependScheme.Always || (prepend == PrependScheme.First && atStart && index == 0);
            result.Add((prepends && !text.StartsWith(SpaceSymbol) ? SpaceSymbol + text : text).AsMemory());
        }
    }

    private static void AddPrefixSpaces(List<ReadOnlyMemory<char>> pieces, bool atStart, List<ReadOnlyMemory<char>> result)
    {
        foreach (var piece in pieces)
            result.Add(piece.Span.StartsWith(' ') ? piece : $" {piece}".AsMemory());
    }

    private static void CutAtMatches(Regex regex, ReadOnlyMemory<char> text, SplitBehavior behavior, List<ReadOnlyMemory<char>> result)
    {
        var shadow = text.Span.IndexOfAnyInRange('\uD800', '\uDFFF') < 0 ? null : new Shadow(text.Span);
        var end = 0;
        foreach (var match in regex.EnumerateMatches(shadow is null ? text.Span : shadow.Text))
        {
            var (start, stop) = (match.Index, match.Index + match.Length);
            if (shadow is not null)
                (start, stop) = (shadow.OffsetOf(start), shadow.OffsetOf(stop));
            if (stop == start && behavior != SplitBehavior.Isolated)
                continue;
            var cut = behavior == SplitBehavior.MergedWithPrevious ? stop : start;
            if (cut > end)
                result.Add(text[end..cut]);
            end = cut;
            if (stop > start && behavior == SplitBehavior.Isolated)
                result.Add(text[start..(end = stop)]);
        }
        if (end < text.Length)
            result.Add(text[end..]);
    }

    /// <summary>
    /// The text with one UTF-16 unit for each code point: .NET's regexes see the halves of a surrogate pair, the patterns mean whole
    /// characters. A character outside the basic plane is replaced by one of the same general category, which is all that patterns ask.
    /// </summary>
    private sealed class Shadow
    {
        private readonly char[] text;
        private readonly int[] offsets;

        public Shadow(ReadOnlySpan<char> original)
        {
            text = new char[original.Length];
            offsets = new int[original.Length + 1];
            var (length, offset) = (0, 0);
            foreach (var rune in original.EnumerateRunes())
            {
                (text[length], offsets[length++]) = (rune.IsBmp ? (char)rune.Value : StandIn(Rune.GetUnicodeCategory(rune)), offset);
                offset += rune.Utf16SequenceLength;
            }
            offsets[length] = offset;
            Array.Resize(ref text, length);
        }

        public ReadOnlySpan<char> Text => text;

        public int OffsetOf(int index) => offsets[index];

        private static char StandIn(UnicodeCategory category) => category switch
        {
            UnicodeCategory.UppercaseLetter => '\u0100',
            UnicodeCategory.LowercaseLetter => '\u0101',
            UnicodeCategory.TitlecaseLetter => '\u01C5',
            UnicodeCategory.ModifierLetter => '\u02B0',
            UnicodeCategory.OtherLetter => '\u01BB',
            UnicodeCategory.NonSpacingMark => '\u0300',
            UnicodeCategory.SpacingCombiningMark => '\u0903',
            UnicodeCategory.EnclosingMark => '\u0488',
            UnicodeCategory.DecimalDigitNumber => '\u0660',
            UnicodeCategory.LetterNumber => '\u16EE',
            UnicodeCategory.OtherNumber => '\u00B2',
            UnicodeCategory.DashPunctuation => '\u058A',
            UnicodeCategory.OtherPunctuation => '\u00A7',
            UnicodeCategory.MathSymbol => '\u00AC',
            UnicodeCategory.OtherSymbol => '\u00A6',
            UnicodeCategory.Format => '\u00AD',
            UnicodeCategory.PrivateUse => '\uE000',
            _ => '\uFFFF', // not assigned
        };
    }
}
