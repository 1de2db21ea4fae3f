namespace ModelOps.Recipes;

/// <summary>Which datasets a method learns from, by their task.</summary>
public static class TrainingTasks
{
    private const string Conversations = "sft";
    private const string Texts = "text";

    public static string Of(TrainingMethod method) => method == TrainingMethod.Pretrain ? Texts : Conversations;

    /// <summary>For people, of a dataset that has another task.</summary>
    public static string Mismatch(string dataset, string task, TrainingMethod method) =>
        $"the dataset {dataset} has {task} rows; the method {RecipeValue.NameOf(method)} learns from {(method == TrainingMethod.Pretrain ? "texts" : "conversations")} ({Of(method)})";
}
