using System.Diagnostics;
using Grpc.Core;
using ModelOps.Ggml;
using ModelOps.Inference.Wire;
using ModelOps.ModelFiles.ChatTemplates;
using ModelOps.Registry;
using ModelOps.Worker.Hosting;
using ModelOps.Workflows;

namespace ModelOps.Worker.Inference;

/// <summary>Loads verified models and streams their answers: template and tokens → engine queue → batch step → pieces.</summary>
internal sealed class InferenceService(
    LoadedModels models, VerifiedArtifacts artifacts, WorkerOptions options, ServerLink server, ILogger<InferenceService> logger) : InferenceEngine.InferenceEngineBase
{
    private const int DefaultContext = 4096;

    public override async Task<LoadReply> Load(LoadRequest request, ServerCallContext context)
    {
        var clock = Stopwatch.StartNew();
        var cancellationToken = context.CancellationToken;
        var file = await GgufAsync(request, cancellationToken);
        var engineOptions = default(EngineOptions)!;
        var loaded = await Task.Run(
            () =>
            {
                var model = LlamaModel.Load(file);
                try
                {
                    engineOptions = new EngineOptions
                    {
                        Threads = options.Threads,
                        Slots = request.Slots == 0 ? EngineOptions.DefaultSlots : (int)request.Slots,
                        ContextSize = request.ContextSize == 0 ? Math.Min(model.ContextLength, DefaultContext) : (int)request.ContextSize,
                    };
                    return new LoadedModel(
                        model, new BatchingEngine(model, engineOptions, logger), model.ChatTemplate is { } template ? ChatTemplate.Parse(template) : null);
                }
                catch (Exception e)
                {
                    model.Dispose();
                    throw e is ArgumentException or GgmlException or ChatTemplateException
                        ? new RpcException(new Status(StatusCode.FailedPrecondition, e.Message))
                        : e;
                }
            },
            cancellationToken);
        await models.SetAsync(request.Name, loaded);
        return new LoadReply
        {
            ContextSize = (uint)engineOptions.ContextSize!.Value,
            Slots = (uint)engineOptions.Slots,
            Seconds = clock.Elapsed.TotalSeconds,
            MemoryBytes = (ulong)loaded.Model.Size,
            Generates = true,
        };
    }

    public override async Task<UnloadReply> Unload(UnloadRequest request, ServerCallContext context)
    {
        await models.RemoveAsync(request.Name);
        return new UnloadReply();
    }

    public override async Task Generate(GenerateRequest request, IServerStreamWriter<GenerateReply> responseStream, ServerCallContext context)
    {
        if (!models.TryGet(request.Name, out var loaded))
            throw new RpcException(new Status(StatusCode.NotFound, $"the model '{request.Name}' is not loaded"));
        using var task = server.Begin();
        var generation = new GenerationRequest
        {
            Prompt = Tokens(request, loaded),
            MaxTokens = request.MaxTokens == 0 ? null : (int)request.MaxTokens,
            Stop = request.Stop,
            Sampling = new SamplingOptions
            {
                Temperature = request.Sampling.Temperature,
                TopP = request.Sampling.TopP,
                TopK = request.Sampling.TopK,
                MinP = request.Sampling.MinP,
                Seed = request.Sampling.Seed,
            },
        };
        try
        {
            await foreach (var piece in loaded.Engine.GenerateAsync(generation, context.CancellationToken))
                await responseStream.WriteAsync(ToWire(piece));
        }
        catch (PromptTooLongException e)
        {
            throw new RpcException(new Status(StatusCode.OutOfRange, e.Message));
        }
        catch (ArgumentException e)
        {
            throw new RpcException(new Status(StatusCode.InvalidArgument, e.Message));
        }
        catch (EngineBusyException e)
        {
            throw new RpcException(new Status(StatusCode.ResourceExhausted, e.Message));
        }
        catch (ObjectDisposedException)
        {
            throw new RpcException(new Status(StatusCode.Unavailable, $"the model '{request.Name}' is being replaced; try again"));
        }
    }

    private async Task<string> GgufAsync(LoadRequest request, CancellationToken cancellationToken)
    {
        if (request.Artifact.Split('@', 2) is not [var name, var version])
            throw new RpcException(new Status(StatusCode.InvalidArgument, $"'{request.Artifact}' is not name@version"));
        try
        {
            var folder = await artifacts.FolderAsync(new PinnedArtifact(name, version, request.ManifestDigest), FileChecks.EveryByte, cancellationToken);
            return Directory.GetFiles(folder, "*.gguf") is [var file]
                ? file
                : throw new RpcException(new Status(StatusCode.FailedPrecondition, $"{request.Artifact} does not have exactly one .gguf file"));
        }
        catch (ActivityException e)
        {
            throw new RpcException(new Status(StatusCode.DataLoss, e.Message));
        }
    }

    private static int[] Tokens(GenerateRequest request, LoadedModel loaded)
    {
        if (request.InputCase == GenerateRequest.InputOneofCase.Prompt)
            return loaded.Model.Tokenize(request.Prompt, addSpecial: true, parseSpecial: false);
        if (loaded.Template is not { } template)
            throw new RpcException(new Status(StatusCode.InvalidArgument, $"the model '{request.Name}' has no chat template; it continues plain prompts only"));
        try
        {
            var rendered = template.Render(new ChatTemplateInput
            {
                Messages = [.. request.Chat.Messages.Select(message => new ChatMessage(message.Role, message.HasContent ? message.Content : null))],
                AddGenerationPrompt = true,
                BosToken = loaded.Model.BosToken?.Text,
                EosToken = loaded.Model.EosToken?.Text,
            });
            return loaded.Model.Tokenize(rendered.Text, addSpecial: false, parseSpecial: true);
        }
        catch (ChatTemplateException e)
        {
            throw new RpcException(new Status(StatusCode.InvalidArgument, $"the model's chat template refuses the messages: {e.Message}"));
        }
    }

    private static GenerateReply ToWire(GeneratedPiece piece)
    {
        var reply = new GenerateReply
        {
            Text = piece.Text,
            FinishReason = piece.Finish switch
            {
                Ggml.FinishReason.Stop => ModelOps.Inference.Wire.FinishReason.Stop,
                Ggml.FinishReason.Length => ModelOps.Inference.Wire.FinishReason.Length,
                _ => ModelOps.Inference.Wire.FinishReason.Unspecified,
            },
        };
        if (piece.Usage is { } usage)
            reply.Usage = new Usage { PromptTokens = (uint)usage.PromptTokens, CompletionTokens = (uint)usage.CompletionTokens };
        return reply;
    }
}
