using System.ComponentModel.DataAnnotations;
using Npgsql;

namespace ModelOps.Registry;

/// <summary>Which database holds the metadata.</summary>
public sealed record MetadataOptions : IValidatableObject
{
    public const string Sqlite = "sqlite";
    public const string PostgreSql = "postgresql";

    /// <summary><c>sqlite</c> or <c>postgresql</c>.</summary>
    /// <value>The default is sqlite: the file <c>metadata.db</c> of the home folder.</value>
    [AllowedValues(Sqlite, PostgreSql, ErrorMessage = "provider must be sqlite or postgresql.")]
    public string Provider { get; set; } = Sqlite;

    /// <summary>For PostgreSQL: <c>Host=…;Database=…;Username=…;Password=…</c>, as Npgsql reads it.</summary>
    [DataType(DataType.Password)]
    public string? ConnectionString { get; set; }

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        string[] member = [nameof(ConnectionString)];
        if (Provider == PostgreSql && string.IsNullOrWhiteSpace(ConnectionString))
            yield return new("connection_string is missing: postgresql needs Host=…;Database=…;Username=…;Password=….", member);
        else if (Provider == PostgreSql && !CanParse(ConnectionString!))
            yield return new("connection_string cannot be read: write it like Host=…;Database=…;Username=…;Password=….", member);
        else if (Provider == Sqlite && !string.IsNullOrWhiteSpace(ConnectionString))
            yield return new("connection_string has no meaning for sqlite: remove it, or set provider to postgresql.", member);
    }

    private static bool CanParse(string text)
    {
        try
        {
            return new NpgsqlConnectionStringBuilder(text).Host is { Length: > 0 };
        }
        catch (Exception e) when (e is ArgumentException or FormatException)
        {
            return false; // not the parser's message: it may repeat a part of the secret
        }
    }
}
