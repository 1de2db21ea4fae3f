using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.EntityFrameworkCore;
using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Server.Jobs;
using ModelOps.Server.Security;
using ModelOps.Tables.Datasets;
using ModelOps.Workflows;

namespace ModelOps.Server.Datasets;

public static class DatasetEndpoints
{
    public static void MapDatasets(this IEndpointRouteBuilder api)
    {
        var datasets = api.MapGroup("/datasets").WithTags("datasets");
        datasets.MapGet("/", async (DatasetCatalog catalog, CancellationToken cancellationToken) =>
            new Page<Dataset>(await catalog.ListAsync(cancellationToken)))
            .WithName("listDatasets").WithSummary("Lists datasets with their versions.");
        datasets.MapGet("/{name}", async (string name, string? version, DatasetCatalog catalog, CancellationToken cancellationToken) =>
            await catalog.GetAsync(name, version, cancellationToken) is { } dataset
                ? Results.Ok(dataset)
                : Problems.NotFound(NoSuchDataset(version is null ? name : $"{name}@{version}")))
            .WithName("getDataset").WithSummary("Tells of a dataset and its versions, or one of them, with the report of the last.").Produces<Dataset>();
        datasets.MapPost("/preview", PreviewAsync)
            .WithName("previewDataset")
            .WithSummary($"Tells what would become of an uploaded file, from its first {DatasetPreviews.Rows} rows or 32 MiB: how it is read, rows kept and rejected. Nothing is made.")
            .Produces<Client.DatasetPreview>();
        datasets.MapPost("/{name}/versions", CreateVersionAsync)
            .WithName("createDatasetVersion").WithSummary("Starts a job that makes an uploaded file the next version.").Produces<Job>(StatusCodes.Status202Accepted);
        datasets.MapQueries();
    }

    public static string NoSuchDataset(string name) => $"no dataset {name}; GET /api/v1/datasets lists them";

    private static async Task<IResult> CreateVersionAsync(
        string name, CreateDatasetVersion create, BlobUses blobs, ArtifactRegistry registry, DatasetCatalog catalog, JobReferences references, JobService jobs, HttpContext context,
        CancellationToken cancellationToken)
    {
        var errors = new List<string>(ManifestRules.CheckName(name));
        long? size = null;
        var options = OptionsOf(create.Options);
        errors.AddRange(options.Check());
        if (!ManifestRules.IsDigest(create.Source)) errors.Add(NoDigest(create.Source));
        else if ((size = await blobs.ClaimAsync(create.Source, cancellationToken)) is null) errors.Add(NotUploaded(create.Source));
        if (errors.Count > 0) return Problems.Invalid(errors);
        if (options.Tokenizer is { } model) options = options with { Tokenizer = await references.PinAsync(model, cancellationToken) };
        if (await registry.GetAsync(name, cancellationToken) is { Manifest.Kind: not "dataset" and var kind })
            return Problems.Conflict($"the name {name} belongs to a {kind}; choose another for the dataset");
        if (await catalog.GetAsync(name, version: null, cancellationToken) is { Versions: [.., var newest] } && newest.SourceSha256 == create.Source
            && newest.Report?.Options is { } taken && Json(OptionsOf(taken)).GetRawText() == Json(options).GetRawText())
            return Problems.Conflict($"{create.FileName} is the file of {name}@{newest.Version} already, taken with the same options: there is nothing to do");
        var input = new DatasetIngestionInput(
            name,
            new StoredFile(Path.GetFileName(create.FileName), size!.Value, create.Source),
            Json(options),
            context.User.Identity!.Name!,
            options.Tokenizer);
        var json = JsonSerializer.SerializeToElement(input, ActivityJson.Default.DatasetIngestionInput);
        return JobEndpoints.Accepted(await jobs.CreateAsync(JobKinds.Ingestion, json, create.Priority, context.Principal(), cancellationToken));
    }

    private static async Task<IResult> PreviewAsync(PreviewDataset preview, DatasetPreviews previews, CancellationToken cancellationToken)
    {
        var options = OptionsOf(preview.Options);
        var errors = new List<string>(options.Check());
        if (!ManifestRules.IsDigest(preview.Source)) errors.Add(NoDigest(preview.Source));
        if (errors.Count > 0) return Problems.Invalid(errors);
        return await previews.RunAsync(preview.Source, Path.GetFileName(preview.FileName), options, cancellationToken) switch
        {
            PreviewOutcome.Previewed previewed => Results.Ok(previewed.Preview),
            PreviewOutcome.Refused refused => Problems.Invalid(refused.Errors),
            _ => Problems.Invalid(NotUploaded(preview.Source)),
        };
    }

    private static string NoDigest(string source) => $"source '{source}' is no SHA-256: 64 lower-case hex digits";

    private static string NotUploaded(string source) => $"source {source} is not uploaded; PUT it to /api/v1/blobs/{source} first";

    /// <summary>What the wire leaves out is the default.</summary>
    private static ModelOps.Tables.Datasets.IngestionOptions OptionsOf(ModelOps.Client.IngestionOptions? options) =>
        JsonSerializer.SerializeToElement(options ?? new(), WireJson.Default.IngestionOptions).Deserialize(IngestionJson.Default.IngestionOptions)!;

    private static JsonElement Json(ModelOps.Tables.Datasets.IngestionOptions options) => JsonSerializer.SerializeToElement(options, IngestionJson.Default.IngestionOptions);
}

/// <summary>The datasets and their versions in the metadata database.</summary>
public sealed class DatasetCatalog(IDbContextFactory<MetadataContext> contexts, ArtifactRegistry registry, BlobStore blobs)
{
    public async Task<IReadOnlyList<Dataset>> ListAsync(CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        var versions = await context.DatasetVersions.AsNoTracking().OrderBy(v => v.Dataset).ThenBy(v => v.CreatedAt).ToListAsync(cancellationToken);
        return [.. versions.GroupBy(v => v.Dataset, StringComparer.Ordinal).Select(group => new Dataset { Name = group.Key, Versions = [.. group.Select(ToWire)] })];
    }

    /// <param name="version">null: all of them.</param>
    /// <returns>With the report of the last version; null: there is none.</returns>
    public async Task<Dataset?> GetAsync(string name, string? version, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        var versions = await context.DatasetVersions.AsNoTracking()
            .Where(v => v.Dataset == name && (version == null || v.Version == version))
            .OrderBy(v => v.CreatedAt)
            .ToListAsync(cancellationToken);
        if (versions.Count == 0) return null;
        var newest = ToWire(versions[^1]) with { Report = await ReportAsync(versions[^1], cancellationToken) };
        return new() { Name = name, Versions = [.. versions[..^1].Select(ToWire), newest] };
    }

    /// <param name="version">null: the newest.</param>
    public async Task<DatasetVersionRow?> FindAsync(string name, string? version, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        return await context.DatasetVersions.AsNoTracking()
            .Where(v => v.Dataset == name && (version == null || v.Version == version))
            .OrderByDescending(v => v.CreatedAt)
            .FirstOrDefaultAsync(cancellationToken);
    }

    /// <returns>Newest first; empty: there is no such dataset.</returns>
    public async Task<IReadOnlyList<DatasetHistoryEntry>> HistoryAsync(string name, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        var rows = await context.DatasetVersions.AsNoTracking().Where(v => v.Dataset == name).OrderByDescending(v => v.CreatedAt).ToListAsync(cancellationToken);
        var history = new List<DatasetHistoryEntry>();
        foreach (var row in rows)
            if (await registry.GetAsync(row.Artifact, cancellationToken) is { Manifest: var manifest })
                history.Add(new()
                {
                    Version = row.Version,
                    CreatedAt = row.CreatedAt,
                    CreatedBy = manifest.CreatedBy,
                    FileName = manifest.Files.First(file => file.Sha256 == row.SourceSha256).Path,
                    SourceSha256 = row.SourceSha256,
                    Task = row.Task,
                    Rows = JsonSerializer.Deserialize<Dictionary<string, long>>(row.Rows)!,
                    RejectedRows = row.RejectedRows,
                    TableVersions = TableVersions(row),
                });
        return history;
    }

    /// <summary>Version of the Delta table per split, and of the quarantine.</summary>
    public static IReadOnlyDictionary<string, long> TableVersions(DatasetVersionRow row) => JsonSerializer.Deserialize<Dictionary<string, long>>(row.TableVersions)!;

    /// <summary>A version that is listed already stays as it is.</summary>
    public async Task AddAsync(DatasetVersionRow version, CancellationToken cancellationToken)
    {
        await using var context = await contexts.CreateDbContextAsync(cancellationToken);
        if (await context.DatasetVersions.AnyAsync(v => v.Dataset == version.Dataset && v.Version == version.Version, cancellationToken)) return;
        if (!await context.Datasets.AnyAsync(d => d.Name == version.Dataset, cancellationToken))
            context.Datasets.Add(new DatasetRow { Name = version.Dataset, CreatedAt = version.CreatedAt });
        context.DatasetVersions.Add(version);
        await context.SaveChangesAsync(cancellationToken);
    }

    private static DatasetVersion ToWire(DatasetVersionRow row) => new()
    {
        Version = row.Version,
        CreatedAt = row.CreatedAt,
        Task = row.Task,
        Rows = JsonSerializer.Deserialize<Dictionary<string, long>>(row.Rows)!,
        RejectedRows = row.RejectedRows,
        SourceSha256 = row.SourceSha256,
        Artifact = row.Artifact,
    };

    /// <summary>From the version's signed artifact; null where it is not there any more, or is not what was signed.</summary>
    private async Task<IngestionReport?> ReportAsync(DatasetVersionRow row, CancellationToken cancellationToken)
    {
        var artifact = await registry.GetAsync(row.Artifact, cancellationToken);
        if (artifact?.Manifest.Files.FirstOrDefault(file => file.Path == IngestedDataset.ReportPath) is not { } file) return null;
        await using var blob = await blobs.OpenAsync(file.Sha256, cancellationToken);
        if (blob is null) return null;
        using var content = new MemoryStream();
        await blob.CopyToAsync(content, cancellationToken);
        return Convert.ToHexStringLower(SHA256.HashData(content.GetBuffer().AsSpan(0, (int)content.Length))) == file.Sha256
            ? JsonSerializer.Deserialize(content.GetBuffer().AsSpan(0, (int)content.Length), WireJson.Default.IngestionReport)
            : null;
    }
}
