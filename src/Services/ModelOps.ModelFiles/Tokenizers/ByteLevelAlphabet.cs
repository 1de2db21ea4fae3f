namespace ModelOps.ModelFiles.Tokenizers;

/// <summary>
/// GPT-2's reversible map between the 256 bytes and 256 printable characters: byte-level BPE vocabularies are written in it.
/// Printable Latin-1 bytes stand for themselves; the others take U+0100 and up in byte order, so that a space is 'Ġ'.
/// </summary>
public static class ByteLevelAlphabet
{
    private const int FirstStandIn = 0x100;
    private static readonly char[] characters = MakeCharacters();
    private static readonly short[] bytes = MakeBytes();

    public static char CharacterOf(byte value) => characters[value];

    /// <returns>False if <paramref name="character"/> stands for no byte.</returns>
    public static bool TryByteOf(char character, out byte value)
    {
        var found = character < bytes.Length ? bytes[character] : -1;
        value = (byte)Math.Max(found, 0);
        return found >= 0;
    }

    private static char[] MakeCharacters()
    {
        var result = new char[256];
        var standIn = FirstStandIn;
        for (var value = 0; value < result.Length; value++)
        {
            var printable = value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or >= 0xAE;
            result[value] = (char)(printable ? value : standIn++);
        }
        return result;
    }

    private static short[] MakeBytes()
    {
        var result = new short[characters.Max() + 1];
        Array.Fill(result, (short)-1);
        for (var value = 0; value < characters.Length; value++)
            result[characters[value]] = (short)value;
        return result;
    }
}
