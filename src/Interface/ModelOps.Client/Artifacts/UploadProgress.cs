namespace ModelOps.Client;

/// <param name="Path">The file being sent.</param>
/// <param name="Bytes">Bytes of all files done so far, those that the server already had included.</param>
/// <param name="Total">Bytes of all files.</param>
public sealed record UploadProgress(string Path, long Bytes, long Total);

internal static class UploadProgressExtensions
{
    /// <summary>Reports one file's progress as part of the whole.</summary>
    public static IProgress<UploadProgress>? Within(this IProgress<UploadProgress>? progress, long before, long total) =>
        progress is null ? null : new PartProgress(progress, before, total);

    private sealed class PartProgress(IProgress<UploadProgress> whole, long before, long total) : IProgress<UploadProgress>
    {
        public void Report(UploadProgress value) => whole.Report(new UploadProgress(value.Path, before + value.Bytes, total));
    }
}
