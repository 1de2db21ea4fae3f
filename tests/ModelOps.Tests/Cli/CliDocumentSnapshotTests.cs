using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using ModelOps.Cli;
using ModelOps.Client;
using ModelOps.Tests.Client;
using ModelOps.Tests.EndToEnd;
using ModelOps.Tests.Repository;

namespace ModelOps.Tests.Cli;

/// <summary>
/// What <c>--json</c> writes on a real server: its shape is frozen, and it is the type whose schema docs/cli has. What differs from run to run
/// (times, digests, keys, paths) is put as <c>&lt;time&gt;</c> and so on.
/// </summary>
public sealed partial class CliDocumentSnapshotTests : IAsyncLifetime
{
    // The public key of RFC 8032's first test vector.
    private const string FriendsKey =
        """
        -----BEGIN PUBLIC KEY-----
        MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=
        -----END PUBLIC KEY-----

        """;

    private static readonly JsonSerializerOptions readable = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    // They need a deployed model, a terminal, another home or a table: MainJobTests, DeploymentTests, QuickstartTests, the sign-in tests and TablesTests run them.
    private static readonly string[] elsewhere =
    [
        "artifacts approve", "artifacts reject", "chat", "config show", "deploy", "deployments adapters add", "deployments adapters list", "deployments adapters remove",
        "deployments show", "deployments stop", "doctor", "eval", "jobs cancel", "jobs pause", "jobs resume", "jobs retry", "login", "logout", "quantize",
        "quickstart", "restore", "serve", "tables history", "tables rows", "tables show", "train pretrain", "train sft",
        "users change-password", "worker",
    ];

    private readonly string home = TestServer.NewHome();
    private readonly HashSet<string> seen = new(StringComparer.Ordinal);

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync()
    {
        Directory.Delete(home, recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Json_OfEveryCommand_IsTheFrozenDocument()
    {
        await using var server = await TestServer.StartAsync(home, Cancel);
        var folder = Directory.CreateDirectory(Path.Combine(home, "folder")).FullName;
        await File.WriteAllTextAsync(Path.Combine(folder, "config.json"), "{}", Cancel);
        await File.WriteAllTextAsync(Path.Combine(folder, "weights.bin"), "weights", Cancel);
        var rows = Path.Combine(home, "rows.jsonl");
        await File.WriteAllLinesAsync(rows, Enumerable.Range(0, 20).Select(i => $$"""{"prompt":"What is {{i}}?","completion":"It is {{i}}."}"""), Cancel);

        await WriteAsync("workers list", []); // before anything needs one
        await WriteAsync("artifacts push", [folder, "--name", "demo", "--kind", "index"]);
        await WriteAsync("artifacts list", []);
        await WriteAsync("artifacts show", ["demo"]);
        await WriteAsync("artifacts verify", ["demo"]);
        await WriteAsync("artifacts lineage", ["demo"]);
        await WriteAsync("artifacts alias set", ["demo@1", "champion"]);
        await WriteAsync("artifacts alias list", ["demo"]);
        await WriteAsync("artifacts alias remove", ["demo", "champion"]);
        await WriteAsync("artifacts promote", ["demo@1", "--to", "STAGING"]);
        await WriteAsync("artifacts export", ["demo@1", Path.Combine(home, "demo.tar")]);
        await WriteAsync("artifacts import", [Path.Combine(home, "demo.tar")]);
        await WriteAsync("artifacts archive", ["demo@1"]);
        await WriteAsync("artifacts prune", ["--dry-run"]);
        await WriteAsync("artifacts rm", ["demo@1"]);
        await WriteAsync("models import", [Path.Combine(RepositoryRoot.Path, "samples/models/wordsmith"), "--name", "base"]);
        await using (var hub = await HubPeer.StartAsync())
        {
            await WriteAsync("models pull", [$"hf:{HubPeer.Repository}"], variables: new() { [HubOptions.EndpointVariable] = hub.Address.ToString() });
        }
        await WriteAsync("models list", []);
        await WriteAsync("models show", ["base"]);
        await WriteAsync("artifacts revoke", ["base@1", "--reason", "a test"]);
        await WriteAsync("datasets preview", [rows]);
        var job = (await WriteAsync("datasets create", ["rows", rows]))["id"]!.GetValue<string>();
        await WriteAsync("datasets list", []);
        await WriteAsync("datasets show", ["rows"]);
        await WriteAsync("datasets query", ["rows", "SELECT source_line, messages[2].content AS answer FROM train WHERE source_line < 3 ORDER BY 1"]);
        await WriteAsync("datasets diff", ["rows", "1", "1"]);
        await WriteAsync("datasets history", ["rows"]);
        await WriteAsync("jobs list", []);
        await WriteAsync("jobs show", [job]);
        await WriteAsync("jobs watch", [job]);
        await WriteAsync("jobs logs", [job]);
        await WriteAsync("jobs samples", [job]);
        await WriteAsync("deployments list", []);
        await WriteAsync("signing show", []);
        await WriteAsync("signing list", []);
        await WriteAsync("signing rotate", []);
        var friend = Path.Combine(home, "friend.pem");
        await File.WriteAllTextAsync(friend, FriendsKey, Cancel);
        var trusted = (await WriteAsync("signing trust", [friend, "--name", "friend"]))["key_id"]!.GetValue<string>();
        await WriteAsync("signing revoke", [trusted, "--reason", "a test"]);
        await WriteAsync("whoami", []);
        await WriteAsync("users add", ["ada", "--role", "engineer", "--no-password"]);
        await WriteAsync("users list", []);
        await WriteAsync("users show", ["ada"]);
        await WriteAsync("users set-role", ["ada", "viewer"]);
        await WriteAsync("users disable", ["ada"]);
        await WriteAsync("users enable", ["ada"]);
        await WriteAsync("users reset-password", ["ada", "--password-stdin"], input: "correct horse battery staple\n");
        var key = (await WriteAsync("keys create", ["ci", "--user", "ada", "--role", "viewer"]))["key"]!;
        await WriteAsync("keys list", []);
        await WriteAsync("keys revoke", [key["id"]!.GetValue<string>()]);
        await WriteAsync("users remove", ["ada"]);
        await WriteAsync("audit list", ["--limit", "2"]);
        await WriteAsync("audit verify", []);
        await WriteAsync("backup", [Path.Combine(home, "backup.zip")]);

        Assert.Equal(CliDocuments.All.Keys.Except(elsewhere), seen.Order(StringComparer.Ordinal));
    }

    /// <returns>The document.</returns>
    private async Task<JsonNode> WriteAsync(string command, string[] args, string input = "", Dictionary<string, string>? variables = null)
    {
        var run = await CliRun.Of([.. command.Split(' '), .. args, "--json", "--home", home], input, variables, cancellationToken: Cancel);
        Assert.True(run.Code == ExitCodes.Done, $"{command} {string.Join(' ', args)} ended with {run.Code}:\n{run.Error}");
        var document = JsonNode.Parse(run.Out)!;
        var type = CliDocuments.All[command]!;
        var typed = JsonSerializer.Deserialize(run.Out, type);
        Assert.Equal(run.Out, JsonSerializer.Serialize(typed, type) + "\n");
        GeneratedFile.AssertCurrent(
            $"tests/ModelOps.Tests/Cli/Snapshots/{command.Replace(' ', '-')}.json", Steady(document.DeepClone()).ToJsonString(readable) + "\n", "CliDocument");
        seen.Add(command);
        return document;
    }

    private JsonNode Steady(JsonNode node)
    {
        switch (node)
        {
            case JsonObject members:
                foreach (var (name, value) in members.ToList())
                {
                    if (value is null) continue;
                    members[name] = name is "seconds" or "progress" || (name == "size" && members.ContainsKey("with_keys")) ? "<varies>" : Steady(value.DeepClone());
                }
                return members;
            case JsonArray items:
                return new JsonArray([.. items.Select(item => item is null ? null : Steady(item.DeepClone()))]);
            default:
                return node.GetValueKind() == JsonValueKind.String ? Steady(node.GetValue<string>()) : node;
        }
    }

    private string Steady(string text)
    {
        text = text.Replace(home, "<home>", StringComparison.Ordinal).Replace(RepositoryRoot.Path, "<repository>", StringComparison.Ordinal);
        text = PublicKey().Replace(text, "<public key>");
        text = Base64().Replace(text, "<base64>");
        text = Version().Replace(text, "<version>");
        text = Time().Replace(text, "<time>");
        text = ApiKey().Replace(text, "<key>");
        text = Digest().Replace(text, "<digest>");
        return Id().Replace(text, "<id>");
    }

    [GeneratedRegex(@"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Time();

    [GeneratedRegex("-----BEGIN PUBLIC KEY-----.*-----END PUBLIC KEY-----", RegexOptions.Singleline, matchTimeoutMilliseconds: 1000)]
    private static partial Regex PublicKey();

    [GeneratedRegex("^[A-Za-z0-9+/]{200,}=*$", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Base64();

    [GeneratedRegex(@"\d+\.\d+\.\d+\+[0-9a-f]{40}", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Version();

    [GeneratedRegex("mo_[A-Za-z0-9_-]{8,}", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex ApiKey();

    [GeneratedRegex("[0-9a-f]{64}", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Digest();

    [GeneratedRegex(@"(?<![0-9a-z])[0-9a-f]{8}(-?[0-9a-f]{4}){0,3}(-?[0-9a-f]{12})?(?![0-9a-z])", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Id();
}
