using System.Collections.Concurrent;
using Grpc.Core;
using ModelOps.Ggml;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Conversion;
using ModelOps.ModelFiles.Peft;
using ModelOps.Registry;
using ModelOps.Worker.Hosting;
using ModelOps.Workflows;

namespace ModelOps.Worker.Inference;

/// <summary>The GGUF files of verified artifacts; an adapter in PEFT's layout is converted once in this process.</summary>
internal sealed class ServedFiles(VerifiedArtifacts artifacts, WorkerOptions options)
{
    private readonly ConcurrentDictionary<string, SemaphoreSlim> conversions = new(StringComparer.Ordinal);

    // Of this process, gone with it: nobody signed what lies here, so that no later process takes it for verified.
    private readonly string adapters = Path.Combine(options.Scratch, "adapters");

    /// <returns>The file, the first one of several shards.</returns>
    /// <exception cref="RpcException">It does not verify, or is no GGUF model.</exception>
    public async Task<string> ModelAsync(PinnedArtifact artifact, FileChecks checks, CancellationToken cancellationToken)
    {
        var (_, folder) = await OpenAsync(artifact, checks, cancellationToken);
        return GgufFiles.ModelIn(folder) ?? throw Refused($"{artifact} does not have exactly one model in .gguf files");
    }

    /// <inheritdoc cref="ModelAsync"/>
    public async Task<string> AdapterAsync(PinnedArtifact artifact, FileChecks checks, CancellationToken cancellationToken)
    {
        var (manifest, folder) = await OpenAsync(artifact, checks, cancellationToken);
        if (Directory.GetFiles(folder, "*.gguf") is [var file]) return file;
        var one = conversions.GetOrAdd(artifact.Digest, _ => new(1));
        await one.WaitAsync(cancellationToken);
        try
        {
            var converted = Path.Combine(Directory.CreateDirectory(adapters).FullName, $"{artifact.Digest}.gguf");
            if (!File.Exists(converted)) await ConvertAsync(artifact, folder, await BaseAsync(artifact, manifest, cancellationToken), converted, cancellationToken);
            return converted;
        }
        finally
        {
            one.Release();
        }
    }

    private async Task<string> BaseAsync(PinnedArtifact adapter, ArtifactManifest manifest, CancellationToken cancellationToken)
    {
        var parent = manifest.Parents.SingleOrDefault(parent => parent.Role == "base")
            ?? throw Refused($"{adapter} names no base model; an adapter cannot be converted without it");
        var (_, folder) = await OpenAsync(Pinned(parent.Artifact, parent.Digest), FileChecks.Remembered, cancellationToken);
        return folder;
    }

    private static async Task ConvertAsync(PinnedArtifact artifact, string folder, string baseFolder, string output, CancellationToken cancellationToken)
    {
        try
        {
            var description = new GgufDescription { Name = artifact.Name, Version = artifact.Version };
            await Task.Run(
                () => GgufAdapterConversion.Convert(AdapterFolder.Open(folder), ModelFolder.Open(baseFolder), output, GgufWeightType.F16, description, cancellationToken),
                cancellationToken);
        }
        catch (InvalidModelFileException e)
        {
            throw Refused($"{artifact} cannot be served as an adapter: {e.Message}");
        }
    }

    /// <exception cref="RpcException">The artifact's name has no version.</exception>
    public static PinnedArtifact Pinned(string artifact, string digest) => artifact.Split('@', 2) is [var name, var version]
        ? new(name, version, digest)
        : throw new RpcException(new Status(StatusCode.InvalidArgument, $"'{artifact}' is not name@version"));

    private async Task<(ArtifactManifest Manifest, string Folder)> OpenAsync(PinnedArtifact artifact, FileChecks checks, CancellationToken cancellationToken)
    {
        try
        {
            return await artifacts.OpenAsync(artifact, checks, cancellationToken);
        }
        catch (ActivityException e)
        {
            throw new RpcException(new Status(StatusCode.DataLoss, e.Message));
        }
    }

    private static RpcException Refused(string reason) => new(new Status(StatusCode.FailedPrecondition, reason));
}
