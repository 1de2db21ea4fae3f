using System.Text.Json;

namespace ModelOps.Ggml;

/// <summary>
/// Makes GBNF, llama.cpp's grammar, of a JSON schema (draft 2020-12). The grammar's texts all satisfy the schema, but it may have fewer:
/// properties come in the schema's order, additional ones only where the schema names <c>additionalProperties</c> or no properties at all,
/// and integers without bounds have at most 16 digits.
/// </summary>
/// <remarks>
/// type, properties, required, additionalProperties, items, prefixItems, minItems, maxItems, enum, const, anyOf, oneOf (of alternatives that
/// exclude each other), allOf (of one), $ref (#, #/…), minLength, maxLength, and integers with minimum, maximum, exclusiveMinimum and
/// exclusiveMaximum. Annotations, format among them, are passed over.
/// </remarks>
public static class JsonSchemaGrammar
{
    /// <returns>A grammar whose rule <c>root</c> has only JSON texts that the schema accepts.</returns>
    /// <exception cref="ArgumentException">The schema has parts that are not supported; the message names them all, by JSON pointer.</exception>
    public static string ToGbnf(JsonElement schema) => new JsonSchemaCompiler(schema).Compile();
}
