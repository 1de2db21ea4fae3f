using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using ModelOps.Client;
using ModelOps.Inference;
using ModelOps.Inference.Wire;
using ModelOps.ModelFiles;
using ModelOps.ModelFiles.Conversion;
using ModelOps.ModelFiles.Gguf;
using ModelOps.Server.Workers;
using ModelOps.Storage;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Repository;
using ModelOps.Workflows;
using FinishReason = ModelOps.Inference.FinishReason;
using ToolCall = ModelOps.Inference.ToolCall;

namespace ModelOps.Tests.Deployments;

/// <summary>The inference worker's process over its contract, without a server before it.</summary>
[Collection(ServingTests.Name)]
public sealed class InferenceWorkerTests(ServingServer server) : IAsyncLifetime
{
    private const int Instance = 9; // the server has the first
    private static readonly JsonElement weather = JsonElement.Parse(
        """
        {"type": "function", "function": {"name": "weather", "parameters": {"type": "object",
        "properties": {"city": {"enum": ["Bern", "Oslo"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9}}, "required": ["city", "days"], "additionalProperties": false}}}
        """);

    private static readonly Dictionary<int, float> withoutEnd = new() { [0] = float.NegativeInfinity, [2] = float.NegativeInfinity }; // the sample's tokens that end an answer

    private string digest = "";
    private string adapterDigest = "";

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        digest = (await server.Client.Artifacts.GetAsync("base-q8@1", Cancel)).Digest;
        adapterDigest = (await server.Client.Artifacts.GetAsync("tone@1", Cancel)).Digest;
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    [EmbeddedOnly("the worker reads the home's files")]
    public async Task Generate_AllThatTheContractOffers_IsDoneByTheEngine()
    {
        await using var worker = await StartAsync(budget: null);
        var backend = Backend(worker);
        var loaded = await backend.LoadAsync(Model("m") with { Adapters = [new("tone", "tone@1", adapterDigest)] }, Cancel);
        Assert.True(loaded is { Generates: true, Embeds: false, Ranks: false, Slots: 2, MemoryBytes: > 1_000_000 });

        // 1. Whoever must call a tool does, by the tool's schema, in pieces with one id.
        var called = await AnswerAsync(backend, Chat("m", "Weather?") with
        {
            Input = new GenerationInput.Chat([new("user", "Weather?")]) { Tools = [weather], ToolChoice = new ToolChoice.Function("weather") },
        });
        Assert.Equal(FinishReason.ToolCalls, called.Finish);
        var call = Assert.Single(called.Calls);
        Assert.Equal("weather", call.Name);
        Assert.StartsWith("call_", call.Id, StringComparison.Ordinal);
        using (var arguments = JsonDocument.Parse(call.Arguments))
        {
            Assert.Contains(arguments.RootElement.GetProperty("city").GetString(), new[] { "Bern", "Oslo" });
            Assert.InRange(arguments.RootElement.GetProperty("days").GetInt32(), 1, 9);
        }
        Assert.Equal("", called.Text);

        // 2. The call and its result go back into the conversation, of which a template without tools knows nothing.
        var followed = await AnswerAsync(backend, Chat("m", "") with
        {
            Input = new GenerationInput.Chat([new("user", "Weather?"), new("assistant", null) { ToolCalls = [call] }, new("tool", "rain") { ToolCallId = call.Id }]) { Tools = [weather] },
        });
        Assert.True(followed.Usage.PromptTokens > called.Usage.PromptTokens);
        Assert.Equal(
            InferenceError.InvalidRequest,
            (await Assert.ThrowsAsync<InferenceException>(() => AnswerAsync(backend, Chat("m", "") with
            {
                Input = new GenerationInput.Chat([new("user", "Weather?")]) { Tools = [weather], ToolChoice = new ToolChoice.Function("nobody") },
            }))).Error);

        // 3. A schema binds the answer.
        var bound = await AnswerAsync(backend, Chat("m", "Who?") with
        {
            Constraint = new OutputConstraint.JsonSchema(JsonElement.Parse("""{"type": "object", "properties": {"yes": {"type": "boolean"}}, "required": ["yes"], "additionalProperties": false}""")),
        });
        using (var json = JsonDocument.Parse(bound.Text)) Assert.Contains(json.RootElement.GetProperty("yes").ValueKind, new[] { JsonValueKind.True, JsonValueKind.False });

        // 4. Log probabilities of every token, whose bytes are the text; what was read once is not read again.
        var scored = await AnswerAsync(backend, Chat("m", "What does \"river\" mean?") with { TopLogprobs = 2, MaxTokens = 8 });
        Assert.Equal(scored.Usage.CompletionTokens, scored.Logprobs.Count);
        Assert.All(scored.Logprobs, token => Assert.True(token.LogProbability <= 0 && token.Top.Count == 2 && token.Top[0].LogProbability >= token.LogProbability));
        Assert.StartsWith(scored.Text, Encoding.UTF8.GetString([.. scored.Logprobs.SelectMany(token => token.Token.ToArray())]), StringComparison.Ordinal);
        var again = await AnswerAsync(backend, Chat("m", "What does \"river\" mean?") with { MaxTokens = 8 });
        Assert.Equal(scored.Text, again.Text);
        Assert.True(again.Usage.CachedPromptTokens > 0);
        Assert.True(again.Times is { Prompt.Ticks: > 0, Decode.Ticks: > 0, Load.Ticks: 0 });

        // 5. Adapters: another voice, which leaves with its name.
        var toned = await AnswerAsync(backend, Chat("m", "What does \"river\" mean?") with { Adapter = "tone", MaxTokens = 8 });
        Assert.NotEqual(scored.Text, toned.Text);
        await backend.UnloadAdapterAsync("m", "tone", Cancel);
        var gone = await Assert.ThrowsAsync<InferenceException>(() => AnswerAsync(backend, Chat("m", "Hi") with { Adapter = "tone" }));
        Assert.Equal(InferenceError.ModelNotFound, gone.Error);
        await backend.LoadAdapterAsync("m", new AdapterToLoad("tone", "tone@1", adapterDigest), Cancel);
        Assert.Equal(toned.Text, (await AnswerAsync(backend, Chat("m", "What does \"river\" mean?") with { Adapter = "tone", MaxTokens = 8 })).Text);

        // 6. What it cannot do it says, and what it did it counts.
        var noVectors = await Assert.ThrowsAsync<InferenceException>(() => backend.EmbedAsync("m", [new EmbeddingInput.Text("a")], Cancel));
        Assert.Equal(InferenceError.NotSupported, noVectors.Error);
        var tooLong = await Assert.ThrowsAsync<InferenceException>(() => AnswerAsync(backend, Chat("m", string.Concat(Enumerable.Repeat("river ", 600)))));
        Assert.Equal(InferenceError.PromptTooLong, tooLong.Error);
        var status = Assert.Single((await backend.StatusAsync(Cancel)).Models);
        Assert.True(status is { InMemory: true, Active: 0, Queued: 0, CachedPromptTokens: > 0, CompletionTokens: > 20, ColdStarts: 0 });
        Assert.Equal(["tone"], status.Adapters);
    }

    /// <summary>Each style as its models' templates show it, a grammar that forces it, and the parser that takes the call out of the answer.</summary>
    [Fact]
    [EmbeddedOnly("the worker reads the home's files")]
    public async Task Generate_AForcedCall_IsWrittenAndReadInTheStyleOfTheTemplate()
    {
        await using var worker = await StartAsync(budget: null);
        var backend = Backend(worker);
        var add = JsonElement.Parse("""{"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1, "maximum": 9}}, "required": ["a"], "additionalProperties": false}}}""");
        var plain = await PlainAsync();
        foreach (var (style, shown) in new[]
        {
            ("hermes", "<tool_call>{\"name\": NAME, \"arguments\": ARGUMENTS}</tool_call>"),
            ("llama", "{\"name\": NAME, \"parameters\": ARGUMENTS}"),
            ("mistral", "[TOOL_CALLS][{\"name\": NAME, \"arguments\": ARGUMENTS}]"),
            ("functionary", "<function=NAME>ARGUMENTS</function>"),
        })
        {
            await backend.LoadAsync(new ModelToLoad(style, $"{style}@1", await PushAsync(style, plain, shown)) { Slots = 1, ContextSize = 512 }, Cancel);
            var answer = await AnswerAsync(backend, Chat(style, "") with
            {
                Input = new GenerationInput.Chat([new("user", "Weather?")]) { Tools = [weather, add], ToolChoice = new ToolChoice.Required() },
            });
            Assert.Equal((style, FinishReason.ToolCalls, ""), (style, answer.Finish, answer.Text));
            var call = Assert.Single(answer.Calls);
            Assert.Matches(style == "mistral" ? "^[A-Za-z0-9]{9}$" : "^call_[A-Za-z0-9]{24}$", call.Id);
            var arguments = JsonElement.Parse(call.Arguments);
            if (call.Name == "add")
            {
                Assert.InRange(arguments.GetProperty("a").GetInt32(), 1, 9);
            }
            else
            {
                Assert.Equal("weather", call.Name);
                Assert.Contains(arguments.GetProperty("city").GetString(), new[] { "Bern", "Oslo" });
                Assert.InRange(arguments.GetProperty("days").GetInt32(), 1, 9);
            }
            await backend.UnloadAsync(style, Cancel);
        }
    }

    [Fact]
    [EmbeddedOnly("the worker reads the home's files")]
    public async Task Load_BeyondTheBudget_LetsTheLeastRecentlyUsedGo()
    {
        // Room for two models and a half.
        var budget = await SizeAsync() * 5 / 2;
        await using var worker = await StartAsync(budget);
        var backend = Backend(worker);
        await backend.LoadAsync(Model("one") with { Adapters = [new("tone", "tone@1", adapterDigest)] }, Cancel);
        await backend.LoadAsync(Model("two"), Cancel);

        // 1. The third lets the first go, which waited longest for a request; that comes back with its adapter at the next one.
        await backend.LoadAsync(Model("three"), Cancel);
        Assert.Equal(["three", "two"], await InMemoryAsync(backend));
        var cold = await AnswerAsync(backend, Chat("one", "Hi") with { Adapter = "tone" });
        Assert.True(cold.Times!.Load > TimeSpan.Zero);
        Assert.Equal(["one", "three"], await InMemoryAsync(backend));
        Assert.Equal(TimeSpan.Zero, (await AnswerAsync(backend, Chat("one", "Hi"))).Times!.Load);

        // 2. What answers never leaves: the request of a model that has no room is told so.
        using var enough = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var running = new List<Task>();
        foreach (var name in new[] { "one", "three" })
        {
            var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            running.AddRange(Enumerable.Range(0, 12).Select(_ => AnswerOnAsync(backend, name, begun, enough.Token)));
            await begun.Task.WaitAsync(TimeSpan.FromSeconds(30), Cancel);
        }
        var busy = await Assert.ThrowsAsync<InferenceException>(() => AnswerAsync(backend, Chat("two", "Hi")));
        Assert.Equal(InferenceError.Busy, busy.Error);
        Assert.Matches(@"two needs \d+(\.\d)? MB of memory, and models that answer now have \d+(\.\d)? MB of the \d+(\.\d)? MB of inference:memory_budget", busy.Message);
        await enough.CancelAsync();
        await Task.WhenAll(running);
        await Eventually.HoldsAsync(async () => (await backend.StatusAsync(Cancel)).Models.All(model => model.Active == 0), Cancel);
        Assert.NotEmpty((await AnswerAsync(backend, Chat("two", "Hi"))).Text);

        // 3. What can never fit is refused with the numbers.
        var tooLarge = await Assert.ThrowsAsync<InferenceException>(() => backend.LoadAsync(Model("large") with { Slots = 200, ContextSize = 512 }, Cancel));
        Assert.Equal(InferenceError.InvalidRequest, tooLarge.Error);
        Assert.Matches(@"base-q8@1 needs \d+(\.\d)? MB of memory .*; inference:memory_budget is", tooLarge.Message);
    }

    [Fact]
    [EmbeddedOnly("the worker reads the home's files")]
    public async Task Load_WithAKeepAlive_LeavesMemoryWhenNobodyAsksAndComesBack()
    {
        await using var worker = await StartAsync(budget: null);
        var backend = Backend(worker);
        await backend.LoadAsync(Model("m") with { KeepAlive = TimeSpan.FromMilliseconds(300) }, Cancel);
        await Eventually.HoldsAsync(async () => !(await StatusAsync(backend, "m")).InMemory, Cancel);
        var cold = await AnswerAsync(backend, Chat("m", "Hi"));
        Assert.True(cold.Times!.Load > TimeSpan.Zero);
        await Eventually.HoldsAsync(async () => !(await StatusAsync(backend, "m")).InMemory, Cancel);
        var status = await StatusAsync(backend, "m");
        Assert.True(status.ColdStarts == 1 && status.CompletionTokens == (ulong)cold.Usage.CompletionTokens, "what it did is not forgotten");
        await backend.UnloadAsync("m", Cancel);
        Assert.Empty((await backend.StatusAsync(Cancel)).Models);
    }

    /// <summary>The bundled model as a GGUF.</summary>
    private async Task<string> PlainAsync()
    {
        var path = Path.Combine(server.Home, "plain.gguf");
        var folder = ModelFolder.Open(Path.Combine(RepositoryRoot.Path, "samples/models/wordsmith"));
        await Task.Run(() => GgufConversion.Convert(folder, path, GgufWeightType.F16, new GgufDescription { Name = "plain" }, Cancel), Cancel);
        return path;
    }

    /// <summary>Stores a GGUF as one whose template renders tools and shows how they are called.</summary>
    /// <returns>The artifact's digest.</returns>
    private async Task<string> PushAsync(string name, string plain, string shown)
    {
        var template = $"{{% if tools %}}{{{{ '{shown}' }}}}{{% for tool in tools %}}{{{{ tool | tojson }}}}{{% endfor %}}{{% endif %}}"
            + "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}{% endfor %}{{ '<|im_start|>assistant\\n' }}";
        var folder = Directory.CreateDirectory(Path.Combine(server.Home, "styles", name)).FullName;
        using (var file = GgufFile.Open(plain))
        {
            GgufWriter.Write(
                Path.Combine(folder, $"{name}.gguf"),
                file.Metadata.Where(pair => pair.Key != "tokenizer.chat_template").Append(new("tokenizer.chat_template", template)),
                [
                    .. file.Tensors.Values.Select(tensor => new GgufTensorSource(tensor.Name, tensor.Type, tensor.Dimensions, stream =>
                    {
                        var bytes = new byte[tensor.Length];
                        file.Read(tensor.Name, bytes);
                        stream.Write(bytes);
                    })),
                ]);
        }
        return (await server.Client.Artifacts.PushAsync(name, "gguf", await LocalFiles.HashFolderAsync(folder, Cancel), progress: null, Cancel)).Digest;
    }

    private async Task<long> SizeAsync()
    {
        await using var worker = await StartAsync(budget: null);
        return (await Backend(worker).LoadAsync(Model("m"), Cancel)).MemoryBytes;
    }

    private static async Task<IEnumerable<string>> InMemoryAsync(WorkerBackend backend) =>
        (await backend.StatusAsync(Cancel)).Models.Where(model => model.InMemory).Select(model => model.Name).Order(StringComparer.Ordinal);

    /// <summary>An answer up to the end of the context, or until it is cancelled.</summary>
    private static async Task AnswerOnAsync(WorkerBackend backend, string model, TaskCompletionSource begun, CancellationToken cancellationToken)
    {
        try
        {
            var request = Chat(model, "Hi") with { MaxTokens = null, Sampling = new() { Seed = 1, LogitBias = withoutEnd } };
            await foreach (var piece in backend.GenerateAsync(request, cancellationToken)) begun.TrySetResult();
        }
        catch (OperationCanceledException)
        {
            // As asked.
        }
    }

    private ModelToLoad Model(string name) => new(name, "base-q8@1", digest) { Slots = 2, ContextSize = 512 };

    private static GenerationRequest Chat(string model, string question) => new()
    {
        Model = model,
        Input = new GenerationInput.Chat([new("user", question)]),
        MaxTokens = 120,
        Sampling = new() { Seed = 1, Temperature = 0 },
    };

    private static async Task<ModelStatus> StatusAsync(WorkerBackend backend, string name) =>
        (await backend.StatusAsync(Cancel)).Models.Single(model => model.Name == name);

    private static async Task<Answer> AnswerAsync(WorkerBackend backend, GenerationRequest request)
    {
        var answer = new Answer();
        await foreach (var piece in backend.GenerateAsync(request, Cancel)) answer.Add(piece);
        return answer;
    }

    private static WorkerBackend Backend(WorkerProcess worker) => new(new InferenceEngine.InferenceEngineClient(worker.Channel));

    private Task<WorkerProcess> StartAsync(long? budget) => WorkerProcess.StartAsync(
        new WorkerLaunch(WorkerRole.Inference, Instance, server.Home, Threads: 1, new ObjectStoreOptions()) { ModelMemory = budget },
        WorkerProgram.Find(), NullLoggerFactory.Instance, TimeProvider.System, Cancel);

    /// <summary>A stream, folded.</summary>
    private sealed class Answer
    {
        private readonly StringBuilder text = new();
        private readonly SortedDictionary<int, ToolCall> calls = [];

        public string Text => text.ToString();

        public IReadOnlyList<ToolCall> Calls => [.. calls.Values];

        public List<ModelOps.Inference.TokenLogprob> Logprobs { get; } = [];

        public FinishReason? Finish { get; private set; }

        public TokenUsage Usage { get; private set; } = new(0, 0);

        public GenerationTimes? Times { get; private set; }

        public void Add(GenerationPiece piece)
        {
            text.Append(piece.Text);
            Logprobs.AddRange(piece.Logprobs);
            foreach (var delta in piece.ToolCalls)
            {
                calls[delta.Index] = calls.TryGetValue(delta.Index, out var call)
                    ? call with { Arguments = call.Arguments + delta.Arguments }
                    : new ToolCall(delta.Id!, delta.Name!, delta.Arguments);
            }
            (Finish, Usage, Times) = (piece.Finish ?? Finish, piece.Usage ?? Usage, piece.Times ?? Times);
        }
    }
}
