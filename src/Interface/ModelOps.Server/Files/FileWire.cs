using System.Text.Json.Serialization;
using ModelOps.Registry;

namespace ModelOps.Server.Files;

// The shapes of files in OpenAI's API description (openai/openai-openapi).

/// <param name="Status">Always <c>processed</c>: a file that cannot be used is not taken.</param>
public sealed record FileObject(
    string Id, string Object, long Bytes, long CreatedAt,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] long? ExpiresAt,
    string Filename, string Purpose, string Status)
{
    internal static FileObject Of(FileRow row) => new(
        row.Id, "file", row.Size, row.CreatedAt.ToUnixTimeSeconds(), row.ExpiresAt?.ToUnixTimeSeconds(), row.FileName, row.Purpose, "processed");
}

/// <param name="FirstId">Empty in an empty list, as <paramref name="LastId"/>.</param>
public sealed record FileList(string Object, IReadOnlyList<FileObject> Data, string FirstId, string LastId, bool HasMore);

/// <summary>That a file or a model is no more.</summary>
public sealed record DeletedObject(string Id, string Object, bool Deleted);

internal static class FilePurposes
{
    public const string FineTune = "fine-tune";
    public const string FineTuneResults = "fine-tune-results";
    public const string Batch = "batch";
}
