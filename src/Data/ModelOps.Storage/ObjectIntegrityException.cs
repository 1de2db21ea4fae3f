namespace ModelOps.Storage;

/// <summary>What the store holds is not what was put: it was changed, cut or moved, or it cannot be read with the keys at hand.</summary>
public sealed class ObjectIntegrityException(string key, string fault, Exception? cause = null) : IOException($"the object {key} is refused: {fault}", cause)
{
    public string Key => key;
}
