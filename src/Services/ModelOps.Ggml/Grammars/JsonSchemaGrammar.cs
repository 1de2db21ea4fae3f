using System.Text.Json;

namespace ModelOps.Ggml;

/// <summary>Makes GBNF, llama.cpp's grammar, of a JSON schema.</summary>
public static class JsonSchemaGrammar
{
    /// <returns>A grammar whose rule <c>root</c> has only JSON texts that the schema accepts.</returns>
    /// <exception cref="ArgumentException">The schema has parts that are not supported; the message names them all, by JSON pointer.</exception>
    public static string ToGbnf(JsonElement schema) => throw new NotSupportedException();
}
