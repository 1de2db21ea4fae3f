using ModelOps.Server.Files;
using ModelOps.Server.FineTuning;

namespace ModelOps.Server.OpenAI;

public static class OpenAIEndpoints
{
    private const string Events = "text/event-stream";

    public static void MapOpenAI(this IEndpointRouteBuilder routes)
    {
        var api = routes.MapGroup("/v1").WithTags("openai");
        api.MapGet("/models", Models.List)
            .WithName("openaiListModels").WithSummary("Lists the models that are served.").Produces<ModelList>();
        api.MapGet("/models/{id}", Models.Get)
            .WithName("openaiGetModel").WithSummary("Tells of a served model.").Produces<ModelEntry>();
        api.MapDelete("/models/{id}", Models.DeleteAsync)
            .WithName("openaiDeleteModel").WithSummary("Ends the serving of a fine-tuned model.").Produces<DeletedObject>();
        api.MapFiles();
        api.MapFineTuning();
        api.MapPost("/chat/completions", ChatCompletions.CreateAsync)
            .WithName("openaiCreateChatCompletion").WithSummary("Answers a chat, whole or as a stream of chunks.")
            .Accepts<ChatCompletionRequest>("application/json")
            .Produces<ChatCompletion>().Produces<ChatCompletionChunk>(StatusCodes.Status200OK, Events);
        api.MapPost("/completions", Completions.CreateAsync)
            .WithName("openaiCreateCompletion").WithSummary("Continues prompts as they are, whole or as a stream of chunks.")
            .Accepts<CompletionRequest>("application/json")
            .Produces<Completion>().Produces<Completion>(StatusCodes.Status200OK, Events);
        api.MapPost("/responses", Responses.CreateAsync)
            .WithName("openaiCreateResponse").WithSummary("Answers an input without keeping anything of it, whole or as a stream of events.")
            .Accepts<ResponseRequest>("application/json")
            .Produces<ResponseObject>().Produces<ResponseEvent>(StatusCodes.Status200OK, Events);
        api.MapPost("/embeddings", EmbeddingEndpoint.CreateAsync)
            .WithName("openaiCreateEmbedding").WithSummary("Gives vectors for texts.")
            .Accepts<EmbeddingRequest>("application/json").Produces<EmbeddingList>();
        api.MapPost("/rerank", RerankEndpoint.CreateAsync)
            .WithName("rerank").WithSummary("Orders documents by what they say to a query.")
            .Accepts<RerankRequest>("application/json").Produces<RerankResponse>();
    }
}
