using System.Buffers;
using System.Text;

namespace ModelOps.Registry;

/// <summary>The rules that a manifest keeps, whoever signed it.</summary>
public static class ManifestRules
{
    /// <summary>Sizes above 2^53 - 1 have no exact canonical form.</summary>
    private const long maxSize = (1L << 53) - 1;
    private const int maxPathLength = 1024;

    private const string digits = "0123456789";
    private const string lower = "abcdefghijklmnopqrstuvwxyz";
    private const string upper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    private static readonly SearchValues<char> lowerHex = SearchValues.Create(digits + "abcdef");
    private static readonly SearchValues<char> lowerAlphanumeric = SearchValues.Create(lower + digits);
    private static readonly SearchValues<char> alphanumeric = SearchValues.Create(lower + upper + digits);
    private static readonly SearchValues<char> nameCharacters = SearchValues.Create(lower + digits + "._-");
    private static readonly SearchValues<char> versionCharacters = SearchValues.Create(lower + upper + digits + "._-");

    /// <returns>Every fault found; empty when the manifest is valid.</returns>
    public static IReadOnlyList<string> Check(ArtifactManifest manifest)
    {
        var errors = new List<string>();
        if (manifest.SchemaVersion != ArtifactManifest.CurrentSchemaVersion)
            errors.Add(
                $"schema version {manifest.SchemaVersion} is not known; this ModelOps reads {ArtifactManifest.CurrentSchemaVersion}.");
        CheckName(manifest.Name, errors);
        CheckVersion(manifest.Version, errors);
        CheckKind(manifest.Kind, errors);
        CheckFiles(manifest.Files, errors);
        CheckParents(manifest.Parents, errors);
        CheckFacts(manifest, errors);
        return errors;
    }

    /// <returns>Why the name cannot be an artifact's; empty when it can.</returns>
    public static IReadOnlyList<string> CheckName(string name)
    {
        var errors = new List<string>();
        CheckName(name, errors);
        return errors;
    }

    internal static bool IsName(string name) => IsWord(name, maxLength: 96, lowerAlphanumeric, nameCharacters);

    internal static bool IsVersion(string version) => IsWord(version, maxLength: 64, alphanumeric, versionCharacters);

    /// <summary>SHA-256 as 64 lower-case hex digits.</summary>
    public static bool IsDigest(string digest) => digest.Length == 64 && !digest.AsSpan().ContainsAnyExcept(lowerHex);

    private static void CheckName(string name, List<string> errors)
    {
        if (!IsName(name))
            errors.Add($"name '{name}': use 1 to 96 of a-z, 0-9, '.', '_' and '-', beginning with a letter or digit.");
    }

    private static void CheckVersion(string version, List<string> errors)
    {
        if (!IsVersion(version))
            errors.Add($"version '{version}': use 1 to 64 of letters, digits, '.', '_' and '-', beginning with a letter or digit.");
    }

    private static void CheckKind(string kind, List<string> errors)
    {
        if (!ArtifactKinds.All.Contains(kind))
            errors.Add($"kind '{kind}': choose one of {string.Join(", ", ArtifactKinds.All)}.");
    }

    private static void CheckFiles(IReadOnlyList<ManifestFile> files, List<string> errors)
    {
        if (files.Count == 0)
            errors.Add("files: an artifact has at least one file.");

        var paths = files.Select(file => file.Path).ToHashSet();
        var seen = new HashSet<string>();
        foreach (var file in files)
        {
            if (PathFault(file.Path) is { } fault)
                errors.Add($"file '{file.Path}': {fault}");
            if (!seen.Add(file.Path))
                errors.Add($"file '{file.Path}': it is listed twice.");
            if (ParentFolders(file.Path).FirstOrDefault(paths.Contains) is { } folder)
                errors.Add($"file '{file.Path}': '{folder}' is a file, it cannot be a folder too.");
            if (file.Size is < 0 or > maxSize)
                errors.Add($"file '{file.Path}': size {file.Size} is not between 0 and {maxSize}.");
            if (!IsDigest(file.Sha256))
                errors.Add($"file '{file.Path}': sha256 '{file.Sha256}' is not 64 lower-case hex digits.");
        }
    }

    private static void CheckParents(IReadOnlyList<ManifestParent> parents, List<string> errors)
    {
        var seen = new HashSet<(string, string)>();
        foreach (var parent in parents)
        {
            if (!IsWord(parent.Role, maxLength: 32, lowerAlphanumeric, nameCharacters))
                errors.Add(
                    $"parent '{parent.Artifact}': role '{parent.Role}' is not a word such as base, dataset, adapter, source, tokenizer.");
            if (ArtifactReference.TryParse(parent.Artifact) is not { Version: not null })
                errors.Add($"parent '{parent.Artifact}': write name@version.");
            if (!IsDigest(parent.Digest))
                errors.Add($"parent '{parent.Artifact}': digest '{parent.Digest}' is not 64 lower-case hex digits.");
            if (!seen.Add((parent.Role, parent.Artifact)))
                errors.Add($"parent '{parent.Artifact}': it is listed twice as {parent.Role}.");
        }
    }

    private static void CheckFacts(ArtifactManifest manifest, List<string> errors)
    {
        if (string.IsNullOrWhiteSpace(manifest.CreatedBy))
            errors.Add("created_by: say who registers the artifact.");
        foreach (var (name, value) in manifest.Metrics)
        {
            if (!double.IsFinite(value))
                errors.Add($"metric '{name}': {value} is not a finite number.");
        }
        if (manifest.Recipe is not { } recipe)
            return;
        try
        {
            CanonicalJson.Serialize(recipe);
        }
        catch (CanonicalJsonException fault)
        {
            errors.Add($"recipe {fault.Message}");
        }
    }

    /// <summary>A path that stays below any folder it is joined to, on every system.</summary>
    private static string? PathFault(string path)
    {
        if (path.Length is 0 or > maxPathLength)
            return $"a path has 1 to {maxPathLength} characters.";
        if (path.EnumerateRunes().Any(rune => Rune.IsControl(rune) || rune == Rune.ReplacementChar || rune.Value is '\\' or ':'))
            return "control characters, invalid Unicode, '\\' and ':' are not allowed.";
        return path.Split('/').Any(segment => segment is "" or "." or "..")
            ? "use a relative path without empty, '.' or '..' segments."
            : null;
    }

    private static IEnumerable<string> ParentFolders(string path)
    {
        for (var slash = path.LastIndexOf('/'); slash > 0; slash = path.LastIndexOf('/', slash - 1))
            yield return path[..slash];
    }

    private static bool IsWord(string text, int maxLength, SearchValues<char> first, SearchValues<char> rest) =>
        text.Length >= 1 && text.Length <= maxLength && first.Contains(text[0]) && !text.AsSpan().ContainsAnyExcept(rest);
}
