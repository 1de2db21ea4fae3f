namespace ModelOps.Ggml;

/// <summary>llama.cpp is missing or unknown, refused a file, or failed.</summary>
public class GgmlException(string message, Exception? cause = null) : Exception(message, cause);
