namespace ModelOps.Tables.Delta;

/// <summary>
/// A table that cannot be used: its log is broken or has gaps, a version is not there, or it needs what this reader does not support.
/// </summary>
public sealed class DeltaException(string message, Exception? innerException = null) : Exception(message, innerException);
