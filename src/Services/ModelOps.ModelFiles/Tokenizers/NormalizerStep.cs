using System.Text;

namespace ModelOps.ModelFiles.Tokenizers;

/// <summary>One step of a tokenizer.json's normalizer: what is done to text before it is cut.</summary>
public abstract record NormalizerStep
{
    private NormalizerStep()
    {
    }

    internal abstract string Apply(string text);

    /// <summary>Unicode normalization form C or D.</summary>
    public sealed record Canonical(NormalizationForm Form) : NormalizerStep
    {
        internal override string Apply(string text) => CanonicalNormalizer.Normalize(text, Form);
    }

    /// <summary>Puts a text before every text that is not empty.</summary>
    public sealed record Prepend(string Text) : NormalizerStep
    {
        internal override string Apply(string text) => text.Length == 0 ? text : Text + text;
    }

    /// <summary>Replaces a literal text.</summary>
    public sealed record Replace(string Text, string With) : NormalizerStep
    {
        internal override string Apply(string text) => text.Replace(Text, With, StringComparison.Ordinal);
    }
}
