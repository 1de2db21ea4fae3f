using System.Text.RegularExpressions;

namespace ModelOps.Tables.Datasets.Pii;

/// <param name="Kind">email, phone, card, iban or secret.</param>
internal readonly record struct PiiMatch(string Kind, int Start, int Length)
{
    public int End => Start + Length;
}

/// <summary>
/// Finds what looks like personal data or a secret. Cards and IBANs must have right check digits (Luhn; ISO 7064 mod 97-10), phone numbers a
/// country code or the usual grouping, so that few other numbers are taken for them. Names and addresses are not looked for.
/// </summary>
internal static partial class PiiScanner
{
    private const int PatternTimeout = 10_000;

    // What is found first keeps its place: a secret may hold what looks like a card.
    private static readonly (string Kind, Regex Pattern, Func<string, bool> IsReal)[] kinds =
    [
        ("secret", Secret(), _ => true),
        ("email", Email(), _ => true),
        ("iban", Iban(), IsIban),
        ("card", Card(), IsCard),
        ("phone", Phone(), IsPhone),
    ];

    public static IReadOnlyList<string> Kinds { get; } = [.. kinds.Select(kind => kind.Kind)];

    /// <returns>In the order of the text, none overlapping another.</returns>
    public static IReadOnlyList<PiiMatch> Find(string text)
    {
        var found = new List<PiiMatch>();
        foreach (var (kind, pattern, isReal) in kinds)
            foreach (var match in pattern.EnumerateMatches(text))
            {
                var next = new PiiMatch(kind, match.Index, match.Length);
                if (isReal(text.Substring(next.Start, next.Length)) && !found.Exists(other => next.Start < other.End && other.Start < next.End))
                    found.Add(next);
            }
        found.Sort((one, other) => one.Start.CompareTo(other.Start));
        return found;
    }

    public static string Mask(string text)
    {
        var found = Find(text);
        for (var i = found.Count - 1; i >= 0; i--)
            text = $"{text.AsSpan(0, found[i].Start)}[{found[i].Kind.ToUpperInvariant()}]{text.AsSpan(found[i].End)}";
        return text;
    }

    /// <summary>As long as the network's numbers are, and, every second digit from the right doubled, with a sum that is a multiple of ten.</summary>
    private static bool IsCard(string text)
    {
        var digits = Digits(text);
        if (!IsOfNetwork(digits)) return false;
        var sum = 0;
        for (var i = 0; i < digits.Length; i++)
        {
            var digit = digits[digits.Length - 1 - i] - '0';
            sum += i % 2 == 0 ? digit : digit * 2 > 9 ? (digit * 2) - 9 : digit * 2;
        }
        return sum % 10 == 0;
    }

    private static bool IsOfNetwork(string digits) => (digits[0], digits[1], digits.Length) switch
    {
        ('4', _, 13 or 16 or 19) => true, // Visa
        ('2' or '5', _, 16) => true, // Mastercard
        ('3', '4' or '7', 15) => true, // American Express
        ('3', '5', 16) => true, // JCB
        ('3', '0' or '6' or '8' or '9', 14) => true, // Diners Club
        ('6', _, >= 16 and <= 19) => true, // Discover, UnionPay, Maestro
        _ => false,
    };

    /// <summary>With the first four characters put last and letters as 10 to 35, the number leaves 1 when divided by 97.</summary>
    private static bool IsIban(string text)
    {
        var iban = text.Replace(" ", "", StringComparison.Ordinal).ToUpperInvariant();
        if (iban.Length is < 15 or > 34) return false;
        var remainder = 0;
        foreach (var next in iban[4..] + iban[..4])
        {
            var value = char.IsAsciiDigit(next) ? next - '0' : next - 'A' + 10;
            remainder = ((remainder * (value > 9 ? 100 : 10)) + value) % 97;
        }
        return remainder == 1;
    }

    private static bool IsPhone(string text) => Digits(text).Length is >= 7 and <= 15;

    private static string Digits(string text) => string.Concat(text.Where(char.IsAsciiDigit));

    [GeneratedRegex(
        @"(?<![\w.+-])[A-Za-z0-9_%+-]+(\.[A-Za-z0-9_%+-]+)*@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}(?![\w-])",
        RegexOptions.ExplicitCapture, PatternTimeout)]
    private static partial Regex Email();

    [GeneratedRegex(@"(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}( ?[A-Z0-9]{4}){2,7}( ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])", RegexOptions.ExplicitCapture, PatternTimeout)]
    private static partial Regex Iban();

    // In one piece, or in the groups that are printed on cards: other groups are sums and ranges.
    [GeneratedRegex(
        @"(?<![\w.-])([0-9]{13,19}|[0-9]{4}(?<gap>[ -])([0-9]{4}\k<gap>){2}[0-9]{1,4}(\k<gap>[0-9]{1,3})?|[0-9]{4}(?<gap>[ -])[0-9]{6}\k<gap>[0-9]{4,5})(?![\w-]|\.[0-9])",
        RegexOptions.ExplicitCapture, PatternTimeout)]
    private static partial Regex Card();

    // +49 30 123456, (555) 123-4567, 555-123-4567, 555.123.4567: a country code, or the North American grouping.
    [GeneratedRegex(
        @"(?<![\w.+-])(\+[0-9]{1,3}([ .-]?\(?[0-9]{1,5}\)?){2,6}|(1[ .-])?(\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}([.-]))[2-9][0-9]{2}[.-][0-9]{4})(?![\w-]|\.[0-9])",
        RegexOptions.ExplicitCapture, PatternTimeout)]
    private static partial Regex Phone();

    [GeneratedRegex(
        """
        -----BEGIN\ (?<kind>[A-Z0-9 ]*PRIVATE\ KEY)-----[\s\S]{0,20000}?-----END\ \k<kind>-----
        | -----BEGIN\ [A-Z0-9 ]*PRIVATE\ KEY-----
        | (?<![A-Za-z0-9_-]) (
            sk-[A-Za-z0-9_-]{20,}                                     # OpenAI, Anthropic
          | (AKIA|ASIA)[A-Z0-9]{16}                                   # AWS
          | gh[pousr]_[A-Za-z0-9]{36,} | github_pat_[A-Za-z0-9_]{50,} # GitHub
          | glpat-[A-Za-z0-9_-]{20,}                                  # GitLab
          | hf_[A-Za-z0-9]{30,}                                       # Hugging Face
          | xox[abprs]-[A-Za-z0-9-]{10,}                              # Slack
          | AIza[A-Za-z0-9_-]{35}                                     # Google
          | [sr]k_(live|test)_[A-Za-z0-9]{16,}                        # Stripe
          | mo_[A-Za-z0-9_-]{32,}                                     # ModelOps
          | eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,} # JWT
        ) (?![A-Za-z0-9_])
        """,
        RegexOptions.ExplicitCapture | RegexOptions.IgnorePatternWhitespace, PatternTimeout)]
    private static partial Regex Secret();
}
