using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using ModelOps.Inference;
using ModelOps.Server.Generations;

namespace ModelOps.Server.OpenAI;

/// <summary>Turns an answer's pieces into the events of a response: items open, grow and close one after the other. The last event has the whole response.</summary>
internal sealed class ResponseEvents
{
    private readonly StartedAnswers answers;
    private readonly IServiceProvider services;
    private readonly bool oneToolCall;
    private readonly List<ResponseItem> output = [];
    private ResponseObject response;
    private OpenItem? open;
    private int sequence;

    public ResponseEvents(ResponseRequest request, GenerationRequest generation, StartedAnswers answers, DateTimeOffset now, IServiceProvider services)
    {
        (this.answers, this.services, oneToolCall) = (answers, services, request.ParallelToolCalls == false);
        response = new ResponseObject
        {
            Id = $"resp_{Guid.CreateVersion7(now):N}",
            CreatedAt = now.ToUnixTimeSeconds(),
            Status = "in_progress",
            Instructions = request.Instructions,
            Model = request.Model,
            ParallelToolCalls = request.ParallelToolCalls ?? true,
            Temperature = generation.Sampling.Temperature,
            TopP = generation.Sampling.TopP,
            ToolChoice = request.ToolChoice ?? JsonSerializer.SerializeToElement("auto", OpenAIJson.Default.String),
            Tools = request.Tools ?? [],
            Text = request.Text?.Format is null ? new(JsonElement.Parse("""{"type":"text"}""")) : request.Text,
            MaxOutputTokens = request.MaxOutputTokens,
            Metadata = request.Metadata ?? JsonElement.Parse("{}"),
        };
    }

    public async IAsyncEnumerable<ResponseEvent> AllAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        yield return Of("response.created") with { Response = response };
        yield return Of("response.in_progress") with { Response = response };
        var end = new FoldedAnswer();
        await foreach (var (next, error) in EventStream.Told(answers.PiecesAsync(oneToolCall), services, cancellationToken))
        {
            if (error is not null)
            {
                response = response with { Status = "failed", Error = new("server_error", error.Error.Message), Output = [.. output] };
                yield return Of("response.failed") with { Response = response };
                yield break;
            }
            end.Add(next.Piece);
            foreach (var told in Take(next.Piece)) yield return told;
        }
        foreach (var told in Close(end.Finish == FinishReason.Length ? "incomplete" : "completed")) yield return told;
        yield return End(end);
    }

    private IEnumerable<ResponseEvent> Take(GenerationPiece piece)
    {
        if (piece.Reasoning.Length > 0)
        {
            foreach (var told in Open("reasoning", call: null)) yield return told;
            open!.Text.Append(piece.Reasoning);
            yield return InPart("response.reasoning_text.delta") with { Delta = piece.Reasoning };
        }
        if (piece.Text.Length > 0)
        {
            foreach (var told in Open("message", call: null)) yield return told;
            IReadOnlyList<ChatTokenLogprob> logprobs = [.. piece.Logprobs.Select(OpenAIText.Of)];
            open!.Text.Append(piece.Text);
            open.Logprobs.AddRange(logprobs);
            yield return InPart("response.output_text.delta") with { Delta = piece.Text, Logprobs = logprobs };
        }
        foreach (var call in piece.ToolCalls)
        {
            foreach (var told in Open("function_call", call)) yield return told;
            if (call.Arguments.Length == 0) continue;
            open!.Text.Append(call.Arguments);
            yield return InItem("response.function_call_arguments.delta") with { Delta = call.Arguments };
        }
    }

    /// <summary>Opens an item of the type, unless it is open already; what was open before is complete then.</summary>
    private IEnumerable<ResponseEvent> Open(string type, ToolCallDelta? call)
    {
        if (open?.Type == type && open.CallIndex == call?.Index) yield break;
        foreach (var told in Close("completed")) yield return told;
        open = new OpenItem(type, output.Count, call);
        yield return Of("response.output_item.added") with { OutputIndex = open.Index, Item = open.ToItem("in_progress", isNew: true) };
        if (open.Part is { } part) yield return InPart("response.content_part.added") with { Part = part("") };
    }

    private IEnumerable<ResponseEvent> Close(string status)
    {
        if (open is not { } item) yield break;
        var text = item.Text.ToString();
        switch (item.Type)
        {
            case "message":
                yield return InPart("response.output_text.done") with { Text = text, Logprobs = item.Logprobs };
                break;
            case "reasoning":
                yield return InPart("response.reasoning_text.done") with { Text = text };
                break;
            default:
                yield return InItem("response.function_call_arguments.done") with { Name = item.CallName, Arguments = text };
                break;
        }
        if (item.Part is { } part) yield return InPart("response.content_part.done") with { Part = part(text) };
        var closed = item.ToItem(status, isNew: false);
        output.Add(closed);
        open = null;
        yield return Of("response.output_item.done") with { OutputIndex = item.Index, Item = closed };
    }

    private ResponseEvent End(FoldedAnswer end)
    {
        var isCut = end.Finish == FinishReason.Length;
        var status = end.Finish is null ? "failed" : isCut ? "incomplete" : "completed";
        response = response with
        {
            Status = status,
            Error = end.Finish is null ? new("server_error", FoldedAnswer.CutOff().Message) : null,
            IncompleteDetails = isCut ? new("max_output_tokens") : null,
            Output = [.. output],
            Usage = end.Usage is { } usage
                ? new(usage.PromptTokens, new(usage.CachedPromptTokens, 0), usage.CompletionTokens, new(0), usage.PromptTokens + usage.CompletionTokens)
                : null,
        };
        return Of($"response.{status}") with { Response = response };
    }

    private ResponseEvent Of(string type) => new(type, sequence++);

    private ResponseEvent InItem(string type) => Of(type) with { ItemId = open!.Id, OutputIndex = open.Index };

    private ResponseEvent InPart(string type) => InItem(type) with { ContentIndex = 0 };

    /// <summary>The item that grows.</summary>
    private sealed class OpenItem(string type, int index, ToolCallDelta? call)
    {
        public string Id { get; } = $"{type switch { "message" => "msg", "reasoning" => "rs", _ => "fc" }}_{Guid.NewGuid():N}";

        public string Type => type;

        public int Index => index;

        public int? CallIndex => call?.Index;

        public string? CallName => call?.Name;

        /// <summary>Of a call its arguments.</summary>
        public StringBuilder Text { get; } = new();

        public List<ChatTokenLogprob> Logprobs { get; } = [];

        /// <summary>Makes the item's one part of a text; null: it has none.</summary>
        public Func<string, ResponsePart>? Part => type switch
        {
            "message" => text => new("output_text", text) { Annotations = [], Logprobs = [.. Logprobs] },
            "reasoning" => text => new("reasoning_text", text),
            _ => null,
        };

        public ResponseItem ToItem(string status, bool isNew) => new()
        {
            Id = Id,
            Type = type,
            Status = status,
            Role = type == "message" ? "assistant" : null,
            Content = Part is { } part ? isNew ? [] : [part(Text.ToString())] : null,
            Summary = type == "reasoning" ? [] : null,
            CallId = call?.Id,
            Name = call?.Name,
            Arguments = call is null ? null : Text.ToString(),
        };
    }
}
