using System.Text.Json;
using ModelOps.ModelFiles;
using ModelOps.Models;
using ModelOps.Recipes;
using ModelOps.Training.Checkpoints;
using ModelOps.Training.Data;

namespace ModelOps.Training.Runs;

/// <summary>The rows of a run as the model will read them.</summary>
/// <param name="Train">Learned from.</param>
/// <param name="Evaluation">Measured on.</param>
internal sealed record TrainingRows(
    int Length, IReadOnlyList<PackedRow> Train, IReadOnlyList<PackedRow> Evaluation, EvaluationRows EvaluatedOn, RowReport TrainReport, RowReport ValidationReport)
{
    private const int TrainSample = 128;

    /// <exception cref="TrainingFailedException">No row is left to learn from.</exception>
    public static TrainingRows Prepare(TrainingRequest request, ModelConfig model, ExampleEncoder encoder, CancellationToken cancellationToken)
    {
        var recipe = request.Recipe;
        var train = EncodedRows.Encode(encoder, request.TrainRows, cancellationToken);
        if (train.Sequences.Count == 0) throw NothingToLearn(train);
        var length = RecipeResolution.SequenceLength(recipe, model, train.Longest);
        train = encoder.Fit(train, length);
        if (train.Sequences.Count == 0) throw NothingToLearn(train);
        var validation = encoder.Fit(EncodedRows.Encode(encoder, request.ValidationRows, cancellationToken), length);
        var evaluatedOn = validation.Sequences.Count > 0 ? EvaluationRows.Validation : EvaluationRows.TrainSample;
        var evaluation = evaluatedOn == EvaluationRows.Validation ? validation.Sequences : train.Sample(TrainSample, recipe.Seed);
        return new(length, Rows(train.Sequences, length, recipe), Rows(evaluation, length, recipe), evaluatedOn, train.Report, validation.Report);
    }

    /// <summary>What became of rows that people may want otherwise, and what to do about it.</summary>
    public IEnumerable<string> Advice(ModelConfig model)
    {
        var all = TrainReport.Used + TrainReport.Skipped;
        if (TrainReport.Truncated > 0)
            yield return $"{TrainReport.Truncated} of {all} training rows are longer than {Length} tokens and lose their end; "
                + (Length < model.MaxPositions ? $"a larger sequence_length, up to {model.MaxPositions}, keeps more of them" : "the base takes no more: make the rows shorter");
        if (TrainReport.Skipped > 0) yield return $"{TrainReport.Skipped} of {all} training rows are left out, for there is nothing in them to learn: {TrainReport.FirstSkipReason}";
        if (EvaluatedOn == EvaluationRows.TrainSample) yield return "there is no validation row: losses are measured on training rows, and tell little about new ones";
    }

    /// <summary>What a run on them computes. Sampled answers are left out, as are early stops.</summary>
    /// <param name="peakFlops">What the machine does at best per second.</param>
    public TrainingWork Work(ModelConfig model, ResolvedRecipe recipe, double peakFlops)
    {
        var perEpoch = (Train.Count + (recipe.BatchSize * recipe.Accumulation) - 1) / (recipe.BatchSize * recipe.Accumulation);
        var tokens = (long)((double)Train.Sum(row => (long)row.Length) * recipe.Steps / perEpoch);
        var measurements = 2 + (recipe.ValidateEvery is { } every ? (recipe.Steps - 1) / every : 0);
        var measured = measurements * Evaluation.Sum(row => (long)row.Length);
        var forward = CausalLanguageModel.ForwardFlopsPerToken(model, Length);
        var step = CausalLanguageModel.TrainingFlopsPerToken(model, Length, trainsWeights: recipe.Rank is null) + (recipe.GradientCheckpointing ? forward : 0);
        return new(tokens, measured, step, (tokens * step) + (measured * forward), peakFlops);
    }

    /// <summary>SHA-256 of all that a run is made from besides the base's weights, hex.</summary>
    public string Fingerprint(ResolvedRecipe recipe, string baseModel) => RunFingerprint.Of(
        [
            JsonSerializer.SerializeToUtf8Bytes(recipe, ResolvedRecipeJson.Default.ResolvedRecipe),
            JsonSerializer.SerializeToUtf8Bytes(baseModel, ResolvedRecipeJson.Default.String),
        ],
        Train.Concat(Evaluation));

    private static IReadOnlyList<PackedRow> Rows(IReadOnlyList<TrainingSequence> sequences, int length, Recipe recipe) =>
        recipe.Packing ? SequencePacker.Pack(sequences, length) : [.. sequences.Select(sequence => new PackedRow([sequence]))];

    private static TrainingFailedException NothingToLearn(EncodedRows rows) => new(
        TrainingFailure.UnusableRows,
        rows.Skipped == 0
            ? "there are no training rows"
            : $"none of the {rows.Skipped} training rows can be learned from; {rows.FirstSkipReason}");
}
