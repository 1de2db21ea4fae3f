using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Apache.Arrow;
using Apache.Arrow.Types;

namespace ModelOps.Tables.Delta;

/// <summary>Arrow schemas as the JSON of PROTOCOL.md, "Schema Serialization Format", and back.</summary>
internal static partial class SchemaJson
{
    private static readonly (string Name, IArrowType Type)[] Primitives =
    [
        ("string", StringType.Default), ("long", Int64Type.Default), ("integer", Int32Type.Default), ("short", Int16Type.Default),
        ("byte", Int8Type.Default), ("float", FloatType.Default), ("double", DoubleType.Default), ("boolean", BooleanType.Default),
        ("binary", BinaryType.Default), ("date", Date32Type.Default),
        ("timestamp", new TimestampType(TimeUnit.Microsecond, "UTC")),
        ("timestamp_ntz", new TimestampType(TimeUnit.Microsecond, (string?)null)),
    ];

    /// <exception cref="ArgumentException">A column's type has no counterpart in Delta.</exception>
    public static string Render(Schema schema)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream)) WriteStruct(writer, schema.FieldsList);
        return Encoding.UTF8.GetString(stream.ToArray());
    }

    /// <exception cref="DeltaException">The text is no schema.</exception>
    public static Schema Parse(string table, string json)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            return new Schema(ReadFields(document.RootElement), metadata: null);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new DeltaException($"the schema of {table} cannot be read: {e.Message}", e);
        }
    }

    /// <summary>The column's type with what is nested in it, as SQL engines write it: array&lt;struct&lt;a: long&gt;&gt;.</summary>
    public static string TextOf(Field field) => field.DataType switch
    {
        StructType type => $"struct<{string.Join(", ", type.Fields.Select(member => $"{member.Name}: {TextOf(member)}"))}>",
        MapType type => $"map<{TextOf(type.KeyField)}, {TextOf(type.ValueField)}>",
        ListType type => $"array<{TextOf(type.ValueField)}>",
        _ => NameOf(field),
    };

    /// <summary>What the protocol calls the column's type.</summary>
    public static string NameOf(Field field) => field.DataType switch
    {
        StructType => "struct",
        MapType => "map",
        ListType => "array",
        Decimal128Type type => $"decimal({type.Precision},{type.Scale})",
        _ => PrimitiveName(field),
    };

    private static List<Field> ReadFields(JsonElement type)
    {
        var fields = type.GetProperty("fields").EnumerateArray().Select(ReadField).ToList();
        var twice = fields.GroupBy(field => field.Name, StringComparer.OrdinalIgnoreCase).FirstOrDefault(group => group.Count() > 1);
        return twice is null ? fields : throw new FormatException($"two columns are called {twice.Key}");
    }

    private static Field ReadField(JsonElement field) => new(
        field.GetProperty("name").GetString() ?? throw new FormatException("a column has no name"),
        ReadType(field.GetProperty("type")),
        field.GetProperty("nullable").GetBoolean(),
        field.TryGetProperty("metadata", out var metadata) && metadata.ValueKind == JsonValueKind.Object
            ? metadata.EnumerateObject().ToDictionary(entry => entry.Name, entry => entry.Value.ToString(), StringComparer.Ordinal)
            : null);

    private static IArrowType ReadType(JsonElement type)
    {
        if (type.ValueKind == JsonValueKind.String) return ReadPrimitive(type.GetString()!);
        return type.GetProperty("type").GetString() switch
        {
            "struct" => new StructType(ReadFields(type)),
            "array" => new ListType(
                new Field("element", ReadType(type.GetProperty("elementType")), type.GetProperty("containsNull").GetBoolean())),
            "map" => new MapType(
                new Field("key", ReadType(type.GetProperty("keyType")), nullable: false),
                new Field("value", ReadType(type.GetProperty("valueType")), type.GetProperty("valueContainsNull").GetBoolean())),
            var other => throw new FormatException($"type {other} is not known"),
        };
    }

    private static IArrowType ReadPrimitive(string name)
    {
        if (Primitives.FirstOrDefault(primitive => primitive.Name == name).Type is { } type) return type;
        var match = Decimal().Match(name);
        if (!match.Success) throw new FormatException($"type {name} is not known");
        var (precision, scale) = (Int(match.Groups["precision"]), Int(match.Groups["scale"]));
        return precision is >= 1 and <= 38 && scale <= precision
            ? new Decimal128Type(precision, scale)
            : throw new FormatException($"{name} is out of range: at most 38 digits");
    }

    private static int Int(Group group) => int.Parse(group.ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture);

    private static void WriteStruct(Utf8JsonWriter writer, IReadOnlyList<Field> fields)
    {
        writer.WriteStartObject();
        writer.WriteString("type", "struct");
        writer.WriteStartArray("fields");
        foreach (var field in fields)
        {
            writer.WriteStartObject();
            writer.WriteString("name", field.Name);
            writer.WritePropertyName("type");
            WriteType(writer, field);
            writer.WriteBoolean("nullable", field.IsNullable);
            writer.WriteStartObject("metadata");
            writer.WriteEndObject();
            writer.WriteEndObject();
        }
        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static void WriteType(Utf8JsonWriter writer, Field field)
    {
        switch (field.DataType)
        {
            case StructType type:
                WriteStruct(writer, type.Fields);
                break;
            case MapType type:
                writer.WriteStartObject();
                writer.WriteString("type", "map");
                writer.WritePropertyName("keyType");
                WriteType(writer, type.KeyField);
                writer.WritePropertyName("valueType");
                WriteType(writer, type.ValueField);
                writer.WriteBoolean("valueContainsNull", type.ValueField.IsNullable);
                writer.WriteEndObject();
                break;
            case ListType type:
                writer.WriteStartObject();
                writer.WriteString("type", "array");
                writer.WritePropertyName("elementType");
                WriteType(writer, type.ValueField);
                writer.WriteBoolean("containsNull", type.ValueField.IsNullable);
                writer.WriteEndObject();
                break;
            default:
                writer.WriteStringValue(NameOf(field));
                break;
        }
    }

    private static string PrimitiveName(Field field) =>
        Primitives.FirstOrDefault(primitive => IsSame(primitive.Type, field.DataType)).Name
        ?? throw new ArgumentException($"column {field.Name}: {field.DataType.Name} has no counterpart in Delta", nameof(field));

    private static bool IsSame(IArrowType one, IArrowType other) =>
        one.TypeId == other.TypeId
        && (one is not TimestampType a || (other is TimestampType b && a.Unit == b.Unit && a.Timezone is null == b.Timezone is null));

    [GeneratedRegex(
        @"\Adecimal\((?<precision>[0-9]{1,2}), *(?<scale>[0-9]{1,2})\)\z", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Decimal();
}
