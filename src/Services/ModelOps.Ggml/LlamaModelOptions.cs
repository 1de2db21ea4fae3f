namespace ModelOps.Ggml;

public sealed record LlamaModelOptions
{
    /// <summary>Reads the vocabulary and the metadata only: enough to tokenize, not to compute.</summary>
    /// <value>The default is false.</value>
    public bool VocabularyOnly { get; init; }

    /// <summary>Reads all weights at load and refuses a model with invalid ones, such as NaN.</summary>
    /// <value>The default is false: weights are mapped and read when they are used.</value>
    public bool CheckTensors { get; init; }
}

/// <param name="Text">As the vocabulary writes it, such as <c>&lt;|im_end|&gt;</c>.</param>
public sealed record SpecialToken(int Id, string Text);
