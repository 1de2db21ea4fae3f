namespace ModelOps.Temporal.Visibility;

/// <summary>A query, page token or search attribute that the caller got wrong; the message is for the caller (InvalidArgument).</summary>
public sealed class VisibilityException(string message) : Exception(message);
