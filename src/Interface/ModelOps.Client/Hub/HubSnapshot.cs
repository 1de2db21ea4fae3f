using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;

namespace ModelOps.Client;

/// <summary>One file as the hub announces it.</summary>
/// <param name="Sha256">Of a large file; null for one that git itself keeps.</param>
/// <param name="GitSha1">Of a file that git keeps: SHA-1 of "blob SIZE\0" and the bytes.</param>
public sealed record HubFile(string Path, long Size, string? Sha256, string? GitSha1);

/// <summary>One commit of a model: the files of it that ModelOps needs, and under which licence they are.</summary>
public sealed partial record HubSnapshot(string Repository, string Commit, string? License, IReadOnlyList<HubFile> Files)
{
    private static readonly HashSet<string> needed = new(StringComparer.Ordinal)
    {
        "config.json", "generation_config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "chat_template.jinja", "README.md", "LICENSE", "LICENSE.txt", "LICENSE.md", "NOTICE", "USE_POLICY.md",
    };

    public long Size => Files.Sum(file => file.Size);

    /// <summary>What is needed of all that the commit has: no weights in pickle or other formats, no second copy of them.</summary>
    /// <exception cref="ModelOpsException">There are no safetensors weights, or the hub tells no digest of a file.</exception>
    internal static HubSnapshot Of(HubReference reference, HubModelInfo info)
    {
        var weights = info.Siblings.Where(file => file.Rfilename == "model.safetensors").ToList();
        if (weights.Count == 0)
            weights = [.. info.Siblings.Where(file => file.Rfilename == "model.safetensors.index.json" || Shard().IsMatch(file.Rfilename))];
        if (!weights.Exists(file => file.Rfilename.EndsWith(".safetensors", StringComparison.Ordinal)))
        {
            var pickled = info.Siblings.Any(file => file.Rfilename.EndsWith(".bin", StringComparison.Ordinal) || file.Rfilename.EndsWith(".pth", StringComparison.Ordinal));
            throw HubProblems.Of(
                ProblemTypes.Invalid, "No safetensors weights",
                $"{reference} has no model.safetensors{(pickled ? ", only pickled weights, which can run code and are never read; look for a conversion to safetensors" : "")}.");
        }
        var files = info.Siblings.Where(file => needed.Contains(file.Rfilename)).Concat(weights)
            .Select(file => new HubFile(file.Rfilename, file.Lfs?.Size ?? file.Size ?? 0, file.Lfs?.Sha256, file.Lfs is null ? file.BlobId : null))
            .OrderBy(file => file.Path, StringComparer.Ordinal).ToList();
        if (files.Find(file => !IsHex(file.Sha256, 64) && !IsHex(file.GitSha1, 40)) is { } unknown)
            throw HubProblems.Of(ProblemTypes.VerificationFailed, "No digest", $"The hub tells no digest of {unknown.Path} of {reference}: it cannot be verified.");
        return IsHex(info.Sha, 40)
            ? new HubSnapshot(reference.Repository, info.Sha, LicenseOf(info), files)
            : throw HubProblems.Of(ProblemTypes.VerificationFailed, "No commit", $"The hub tells no commit of {reference}.");
    }

    private static string? LicenseOf(HubModelInfo info)
    {
        var license = Text("license");
        return license is "other" ? Text("license_name") ?? license
            : license ?? info.Tags.FirstOrDefault(tag => tag.StartsWith("license:", StringComparison.Ordinal))?["license:".Length..];

        string? Text(string key) => info.CardData is { ValueKind: JsonValueKind.Object } card && card.TryGetProperty(key, out var value)
            && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
    }

    private static bool IsHex(string? text, int length) => text?.Length == length && text.All(char.IsAsciiHexDigitLower);

    [GeneratedRegex(@"^model-[0-9]{5}-of-[0-9]{5}\.safetensors$", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Shard();
}

/// <summary>The answer of <c>api/models/ORG/NAME/revision/REV?blobs=true</c>, as far as it matters.</summary>
internal sealed record HubModelInfo
{
    public string Sha { get; init; } = "";

    public IReadOnlyList<HubSibling> Siblings { get; init; } = [];

    public IReadOnlyList<string> Tags { get; init; } = [];

    public JsonElement? CardData { get; init; }
}

internal sealed record HubSibling(string Rfilename, long? Size, string? BlobId, HubLargeFile? Lfs);

internal sealed record HubLargeFile(string Sha256, long Size);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, RespectRequiredConstructorParameters = false)]
[JsonSerializable(typeof(HubModelInfo))]
internal sealed partial class HubJson : JsonSerializerContext;
