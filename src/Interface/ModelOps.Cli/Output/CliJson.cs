using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using ModelOps.Cli.Chat;
using ModelOps.Cli.Doctor;
using ModelOps.Cli.Quickstart;
using ModelOps.Cli.Serving;
using ModelOps.Cli.SignIn;
using ModelOps.Cli.Tables;
using ModelOps.Cli.Workers;
using ModelOps.Client;

namespace ModelOps.Cli.Output;

/// <summary>The documents that only the command line writes or reads, beside the wire types.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ChatReport))]
[JsonSerializable(typeof(Credentials))]
[JsonSerializable(typeof(DoctorReport))]
[JsonSerializable(typeof(EffectiveConfiguration))]
[JsonSerializable(typeof(JsonElement))]
[JsonSerializable(typeof(KeyRevocation))]
[JsonSerializable(typeof(QuickstartReport))]
[JsonSerializable(typeof(SignedIn))]
[JsonSerializable(typeof(SignedOut))]
[JsonSerializable(typeof(StoredSessions))]
[JsonSerializable(typeof(TableHistory))]
[JsonSerializable(typeof(TableSummary))]
internal sealed partial class CliJson : JsonSerializerContext;

/// <summary>The documents of <c>--json</c>, indented for people.</summary>
internal static class JsonOutput
{
    public static CliJson Documents { get; } = new(Readable(CliJson.Default.Options));

    public static WireJson Wire { get; } = new(Readable(WireJson.Default.Options));

    // Nothing here is embedded in HTML: quotes and non-ASCII letters stay as they are.
    private static JsonSerializerOptions Readable(JsonSerializerOptions options) =>
        new(options) { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
}
