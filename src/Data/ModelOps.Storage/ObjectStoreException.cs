namespace ModelOps.Storage;

/// <summary>The service that keeps the objects does not answer, or refuses; the message says what was asked of which.</summary>
public sealed class ObjectStoreException(string message, Exception cause) : IOException(message, cause);
