using System.Buffers;
using System.Text;
using ModelOps.Ggml.Native;

namespace ModelOps.Ggml;

/// <summary>llama_vocab*, owned by its model: valid as long as whoever holds this keeps the model's handle alive.</summary>
internal sealed unsafe class LlamaVocabulary(nint vocabulary)
{
    private const int NoVocabulary = 0;
    private const int NoToken = -1;
    private const int StackBytes = 256;

    public int Size { get; } = NativeLlama.VocabularySize(vocabulary);

    public bool AddsBos => NativeLlama.AddsBos(vocabulary);

    public int? Bos => Known(NativeLlama.Bos(vocabulary));

    public int? Eos => Known(NativeLlama.Eos(vocabulary));

    public int? Separator => Known(NativeLlama.Separator(vocabulary));

    public bool AddsEos => NativeLlama.AddsEos(vocabulary);

    public bool AddsSeparator => NativeLlama.AddsSeparator(vocabulary);

    public bool HasEndOfGeneration { get; } = Enumerable.Range(0, NativeLlama.VocabularySize(vocabulary))
        .Any(token => NativeLlama.IsEndOfGeneration(vocabulary, token));

    public bool IsEndOfGeneration(int token) => NativeLlama.IsEndOfGeneration(vocabulary, Checked(token));

    public int[] Tokenize(string text, bool addSpecial, bool parseSpecial)
    {
        if (NativeLlama.VocabularyType(vocabulary) == NoVocabulary)
            throw new InvalidOperationException("The model has no vocabulary: it cannot turn text into tokens.");
        var utf8 = Encoding.UTF8.GetBytes(text);
        // A token stands for at least one byte, special tokens come on top; if that is wrong, the answer is minus the number needed.
        var tokens = ArrayPool<int>.Shared.Rent(utf8.Length + 16);
        try
        {
            var count = Fill(utf8, tokens, addSpecial, parseSpecial);
            if (count < 0)
            {
                ArrayPool<int>.Shared.Return(tokens);
                tokens = ArrayPool<int>.Shared.Rent(-count);
                count = Fill(utf8, tokens, addSpecial, parseSpecial);
            }
            return tokens[..count];
        }
        finally
        {
            ArrayPool<int>.Shared.Return(tokens);
        }
    }

    /// <param name="renderControl">Whether control tokens such as an end-of-turn mark have their text; they are empty otherwise.</param>
    public byte[] Bytes(int token, bool renderControl)
    {
        Checked(token);
        var buffer = stackalloc byte[StackBytes];
        var length = NativeLlama.TokenToPiece(vocabulary, token, buffer, StackBytes, 0, renderControl);
        if (length >= 0) return new ReadOnlySpan<byte>(buffer, length).ToArray();

        var bytes = new byte[-length];
        fixed (byte* start = bytes)
            NativeLlama.TokenToPiece(vocabulary, token, start, bytes.Length, 0, renderControl);
        return bytes;
    }

    /// <exception cref="ArgumentOutOfRangeException">The vocabulary has no such token.</exception>
    public int Checked(int token) => (uint)token < (uint)Size
        ? token
        : throw new ArgumentOutOfRangeException(nameof(token), token, $"The vocabulary has tokens 0 to {Size - 1}.");

    public void Check(ReadOnlySpan<int> tokens)
    {
        foreach (var token in tokens) Checked(token);
    }

    private int Fill(byte[] utf8, int[] tokens, bool addSpecial, bool parseSpecial)
    {
        fixed (byte* text = utf8)
        fixed (int* destination = tokens)
            return NativeLlama.Tokenize(vocabulary, text, utf8.Length, destination, tokens.Length, addSpecial, parseSpecial);
    }

    private int? Known(int token) => token == NoToken || (uint)token >= (uint)Size ? null : token;
}
