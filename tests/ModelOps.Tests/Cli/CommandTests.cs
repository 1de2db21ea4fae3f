using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using ModelOps.Cli;
using ModelOps.Client;
using ModelOps.Tests.Client;

namespace ModelOps.Tests.Cli;

public sealed class CommandTests
{
    private static readonly Artifact Adapter = new()
    {
        Name = "support-lora",
        Version = "2",
        Kind = "adapter",
        Stage = "DEV",
        Digest = "c0ffee0123456789c0ffee0123456789c0ffee0123456789c0ffee0123456789",
        CreatedAt = DateTimeOffset.UnixEpoch,
        CreatedBy = "[admin]",
        Size = 1_234_567,
        Files = [new ArtifactFile("adapter_model.safetensors", 1_234_567, new string('a', 64))],
        Parents = [new ArtifactParent("base", "wordsmith@1", new string('b', 64))],
        Metrics = new Dictionary<string, double>(StringComparer.Ordinal) { ["loss_after"] = 0.5 },
    };

    [Theory(Timeout = 30_000)]
    [InlineData(422, ProblemTypes.Invalid, ExitCodes.Usage)]
    [InlineData(404, ProblemTypes.NotFound, ExitCodes.NotFound)]
    [InlineData(401, ProblemTypes.Unauthorized, ExitCodes.NotAllowed)]
    [InlineData(403, ProblemTypes.Forbidden, ExitCodes.NotAllowed)]
    [InlineData(409, ProblemTypes.Conflict, ExitCodes.Conflict)]
    [InlineData(409, ProblemTypes.VerificationFailed, ExitCodes.VerificationFailed)]
    [InlineData(503, ProblemTypes.Unavailable, ExitCodes.Unreachable)]
    [InlineData(500, ProblemTypes.Internal, ExitCodes.Failed)]
    public async Task Run_ServerRefuses_GivesTheCodeOfItsTypeAndAllItsErrors(int status, string type, int code)
    {
        await using var peer = await HttpsPeer.StartAsync(app => app.MapPost(
            "/api/v1/deployments", () => HttpsPeer.Problem(status, type, "No.", "first", "second")));

        var run = await CliRun.Of(
            ["deploy", "a", "--name", "n", "--home", peer.Home], cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(code, run.Code);
        Assert.Empty(run.Out);
        Assert.EndsWith("error: No.\n  - first\n  - second\n", run.Error, StringComparison.Ordinal);
    }

    [Fact(Timeout = 30_000)]
    public async Task Run_ServerGone_GivesCode7AndSaysWhatToDo()
    {
        string home;
        var peer = await HttpsPeer.StartAsync(_ => { });
        await using (peer)
        {
            home = Directory.CreateTempSubdirectory("modelops-home-").FullName;
            Directory.CreateDirectory(Path.Combine(home, "certs"));
            File.Copy(peer.CaPath, Path.Combine(home, "certs", "ca.crt"));
            File.Copy(Path.Combine(peer.Home, "credentials.json"), Path.Combine(home, "credentials.json"));
        }

        var run = await CliRun.Of(["jobs", "list", "--home", home], cancellationToken: TestContext.Current.CancellationToken);
        Directory.Delete(home, recursive: true);

        Assert.Equal(ExitCodes.Unreachable, run.Code);
        Assert.Contains("modelops serve", run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", run.Error, StringComparison.Ordinal);
    }

    [Fact(Timeout = 30_000)]
    public async Task Run_DamagedCredentials_NamesTheFile()
    {
        await using var peer = await HttpsPeer.StartAsync(_ => { });
        await File.WriteAllTextAsync(Path.Combine(peer.Home, "credentials.json"), "{\"server\":\"nowhere\"", TestContext.Current.CancellationToken);

        var run = await CliRun.Of(["jobs", "list", "--home", peer.Home], cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(ExitCodes.Failed, run.Code);
        Assert.Contains($"{peer.Home}/credentials.json is damaged", run.Error, StringComparison.Ordinal);
    }

    [Fact(Timeout = 30_000)]
    public async Task Run_ServerOption_DoesNotShowItTheHomesKey()
    {
        await using var home = await HttpsPeer.StartAsync(_ => { });
        await using var other = await HttpsPeer.StartAsync(app => app.MapGet("/api/v1/jobs", () => new Page<Job>([])));

        // The other server's authority is unknown to the system, so only a plain listener could read a request: none may carry the key.
        var run = await CliRun.Of(
            ["jobs", "list", "--home", home.Home, "--server", other.Address.ToString()], cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(ExitCodes.Unreachable, run.Code);
        Assert.DoesNotContain(other.Requests, request => request.Contains(HttpsPeer.ApiKey, StringComparison.Ordinal));
    }

    [Fact(Timeout = 30_000)]
    public async Task ArtifactsShow_Json_IsTheDocumentAlone()
    {
        await using var peer = await StartWithAdapterAsync();

        var run = await CliRun.Of(
            ["artifacts", "show", "support-lora@2", "--json", "--home", peer.Home], cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(ExitCodes.Done, run.Code);
        Assert.Empty(run.Error);
        Assert.Equal(
            $$"""
            {
              "name": "support-lora",
              "version": "2",
              "kind": "adapter",
              "stage": "DEV",
              "digest": "{{Adapter.Digest}}",
              "created_at": "1970-01-01T00:00:00+00:00",
              "created_by": "[admin]",
              "size": 1234567,
              "files": [
                {
                  "path": "adapter_model.safetensors",
                  "size": 1234567,
                  "sha256": "{{new string('a', 64)}}"
                }
              ],
              "parents": [
                {
                  "role": "base",
                  "artifact": "wordsmith@1",
                  "digest": "{{new string('b', 64)}}"
                }
              ],
              "metrics": {
                "loss_after": 0.5
              },
              "aliases": [],
              "approvals": []
            }

            """,
            run.Out);
    }

    [Fact(Timeout = 30_000)]
    public async Task ArtifactsShow_Piped_IsPlainText()
    {
        await using var peer = await StartWithAdapterAsync();

        var run = await CliRun.Of(
            ["artifacts", "show", "support-lora", "--home", peer.Home], cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(
            $"""
            support-lora@2  adapter  DEV  1.2 MB
            digest   {Adapter.Digest}
            created  1970-01-01 00:00:00Z by [admin]
            base     wordsmith@1
            metric   loss_after = 0.5
            """,
            string.Join('\n', run.Out.Split('\n').Take(5)));
        Assert.DoesNotContain('\e', run.Out);
        Assert.DoesNotContain('│', run.Out);
    }

    [Fact(Timeout = 30_000)]
    public async Task ModelsShow_AnotherKind_IsNotFound()
    {
        await using var peer = await StartWithAdapterAsync();

        var run = await CliRun.Of(
            ["models", "show", "support-lora", "--home", peer.Home], cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(ExitCodes.NotFound, run.Code);
        Assert.Contains("of kind adapter", run.Error, StringComparison.Ordinal);
    }

    [Fact(Timeout = 30_000)]
    public async Task ModelsImport_NotAModel_NamesAllThatIsMissing()
    {
        var folder = Directory.CreateTempSubdirectory("modelops-empty-").FullName;

        var run = await CliRun.Of(["models", "import", folder], cancellationToken: TestContext.Current.CancellationToken);
        Directory.Delete(folder);

        Assert.Equal(ExitCodes.Failed, run.Code);
        Assert.All(["config.json", "tokenizer.json", "*.safetensors"], name => Assert.Contains(name, run.Error, StringComparison.Ordinal));
    }

    [Theory(Timeout = 30_000)]
    [InlineData(false)]
    [InlineData(true)]
    public async Task ArtifactsVerify_ACheckFails_GivesCode6AndNamesIt(bool json)
    {
        await using var peer = await HttpsPeer.StartAsync(app => app.MapPost("/api/v1/artifacts/{reference}/verify", (string reference) =>
            new Verification
            {
                Artifact = reference,
                Verified = false,
                Checks = [new("demo@1", "signature", true, null), new("demo@1", "weights.bin", false, "its SHA-256 differs")],
            }));
        string[] args = ["artifacts", "verify", "demo@1", "--home", peer.Home];

        var run = await CliRun.Of(json ? [.. args, "--json"] : args, cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(ExitCodes.VerificationFailed, run.Code);
        Assert.Contains("weights.bin", run.Error, StringComparison.Ordinal);
        if (json)
        {
            Assert.False(JsonSerializer.Deserialize(run.Out, WireJson.Default.Verification)!.Verified);
            Assert.Equal(ProblemTypes.VerificationFailed, JsonSerializer.Deserialize(run.Error, WireJson.Default.Problem)!.Type);
        }
    }

    [Fact(Timeout = 30_000)]
    public async Task JobsWatch_Interrupted_LeavesTheJobRunningAndSaysHowToComeBack()
    {
        using var interrupt = new CancellationTokenSource();
        await using var peer = await HttpsPeer.StartAsync(app =>
        {
            app.MapGet("/api/v1/jobs/{id}", (string id) => JobOf(id, JobState.Running));
            app.MapGet("/api/v1/jobs/{id}/events", async context =>
            {
                await HttpsPeer.SendEventAsync(
                    context, new JobEvent { Sequence = 1, At = DateTimeOffset.UnixEpoch, State = JobState.Running, Message = "started" });
                await interrupt.CancelAsync();
                await Task.Delay(Timeout.InfiniteTimeSpan, context.RequestAborted);
            });
        });

        var run = await CliRun.Of(["jobs", "watch", "j7", "--home", peer.Home], cancellationToken: interrupt.Token);

        Assert.Equal(ExitCodes.Canceled, run.Code);
        Assert.Contains("modelops jobs watch j7", run.Error, StringComparison.Ordinal);
        Assert.DoesNotContain(peer.Requests, request => request.StartsWith("POST", StringComparison.Ordinal));
        TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
    }

    [Theory(Timeout = 30_000)]
    [InlineData("invalid_rows", ExitCodes.Failed)]
    [InlineData("verification_failed", ExitCodes.VerificationFailed)]
    public async Task JobsWatch_JobFails_GivesItsMessageAndCode(string type, int code)
    {
        await using var peer = await HttpsPeer.StartAsync(app =>
        {
            app.MapGet("/api/v1/jobs/{id}", (string id) => JobOf(id, JobState.Failed) with { Error = new JobError(type, "line 3: no messages") });
            app.MapGet("/api/v1/jobs/{id}/events", context => HttpsPeer.SendEventAsync(
                context, new JobEvent { Sequence = 1, At = DateTimeOffset.UnixEpoch, State = JobState.Failed }));
        });

        var run = await CliRun.Of(["jobs", "watch", "j7", "--home", peer.Home], cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(code, run.Code);
        Assert.Contains("line 3: no messages", run.Error, StringComparison.Ordinal);
    }

    [Fact(Timeout = 30_000)]
    public async Task Chat_PipedMessage_StreamsTheAnswerOnce()
    {
        await using var peer = await HttpsPeer.StartAsync(app => app.MapPost("/v1/chat/completions", AnswerAsync));

        var run = await CliRun.Of(["chat", "m", "--home", peer.Home], "  What?\n", cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal((ExitCodes.Done, "You said: What?\n"), (run.Code, run.Out));
    }

    [Fact(Timeout = 30_000)]
    public async Task Chat_Turns_RememberTheConversationUntilReset()
    {
        var turns = new List<int>();
        await using var peer = await HttpsPeer.StartAsync(app => app.MapPost("/v1/chat/completions", async context =>
        {
            var request = await JsonSerializer.DeserializeAsync(context.Request.Body, WireJson.Default.ChatRequest);
            turns.Add(request!.Messages.Count);
            await SendAnswerAsync(context, "ok");
        }));

        var run = await CliRun.Of(
            ["chat", "m", "--system", "Be brief.", "--home", peer.Home], "one\ntwo\n/reset\nthree\n/exit\nfour\n", terminal: true,
            cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(ExitCodes.Done, run.Code);
        Assert.Equal([2, 4, 2], turns);
    }

    [Fact(Timeout = 30_000)]
    public async Task Chat_AnswerWithControlCharacters_DoesNotSteerTheTerminal()
    {
        await using var peer = await HttpsPeer.StartAsync(app => app.MapPost("/v1/chat/completions", context => SendAnswerAsync(context, "a\\u001b[2Jb\\n")));

        var run = await CliRun.Of(
            ["chat", "m", "--message", "x", "--home", peer.Home], terminal: true, cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal("a[2Jb\n\n", run.Out);
    }

    [Fact(Timeout = 30_000)]
    public async Task Doctor_NothingInstalled_NamesTheServerAndGivesCode1()
    {
        var home = Path.Combine(Path.GetTempPath(), Guid.NewGuid().ToString("N"));

        var run = await CliRun.Of(["doctor", "--json", "--home", home], cancellationToken: TestContext.Current.CancellationToken);

        Assert.Equal(ExitCodes.Failed, run.Code);
        using var report = JsonDocument.Parse(run.Out);
        Assert.False(report.RootElement.GetProperty("healthy").GetBoolean());
        var server = report.RootElement.GetProperty("checks").EnumerateArray().Single(check => check.GetProperty("name").GetString() == "server");
        Assert.Equal("missing", server.GetProperty("status").GetString());
        var cuda = report.RootElement.GetProperty("checks").EnumerateArray().Single(check => check.GetProperty("name").GetString() == "cuda");
        Assert.Equal("note", cuda.GetProperty("status").GetString());
        Assert.StartsWith("no worker is installed; ", cuda.GetProperty("detail").GetString(), StringComparison.Ordinal);
        Assert.Contains("device: cuda", cuda.GetProperty("advice").GetString(), StringComparison.Ordinal);
    }

    private static Task<HttpsPeer> StartWithAdapterAsync() =>
        HttpsPeer.StartAsync(app => app.MapGet("/api/v1/artifacts/{reference}", () => Adapter));

    private static Job JobOf(string id, JobState state) => new()
    {
        Id = id,
        Kind = "sft",
        State = state,
        CreatedAt = DateTimeOffset.UnixEpoch,
        Input = JsonDocument.Parse("{}").RootElement,
    };

    private static async Task AnswerAsync(HttpContext context)
    {
        var request = await JsonSerializer.DeserializeAsync(context.Request.Body, WireJson.Default.ChatRequest);
        await SendAnswerAsync(context, $"You said: {request!.Messages[^1].Content}");
    }

    private static async Task SendAnswerAsync(HttpContext context, string jsonText)
    {
        await HttpsPeer.SendEventAsync(context, $$$"""{"choices":[{"index":0,"delta":{"content":"{{{jsonText}}}"},"finish_reason":"stop"}]}""");
        await HttpsPeer.SendEventAsync(context, "[DONE]");
    }
}
