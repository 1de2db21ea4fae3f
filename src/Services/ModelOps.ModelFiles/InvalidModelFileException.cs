namespace ModelOps.ModelFiles;

/// <summary>A file or folder of a model that breaks its format, or that needs something ModelOps does not support.
/// The message names the file and every error found.</summary>
public sealed class InvalidModelFileException : Exception
{
    public InvalidModelFileException(string path, IReadOnlyList<string> errors, Exception? cause = null)
        : base(Describe(path, errors), cause)
    {
        Path = path;
        Errors = errors;
    }

    public InvalidModelFileException(string path, string error, Exception? cause = null)
        : this(path, [error], cause)
    {
    }

    public string Path { get; }

    public IReadOnlyList<string> Errors { get; }

    private static string Describe(string path, IReadOnlyList<string> errors) => errors.Count == 1
        ? $"{path}: {errors[0]}"
        : $"{path}: {errors.Count} errors:{string.Concat(errors.Select(error => $"\n  - {error}"))}";
}
