using System.Text;
using System.Text.Json;
using ModelOps.Training.Plugins;

namespace ModelOps.Training.Evaluations.Metrics;

/// <summary>1 where the whole answer, white space around it aside, is one JSON value (RFC 8259), else 0. No key may stand twice in an object.</summary>
public sealed class JsonValidity : MetricPlugin
{
    private static readonly JsonDocumentOptions strict = new() { AllowDuplicateProperties = false, MaxDepth = 512 };

    public override string Name => "json_valid";

    public override double Apply(MetricContext context)
    {
        try
        {
            using var document = JsonDocument.Parse(Encoding.UTF8.GetBytes(context.Answer), strict);
            return 1;
        }
        catch (JsonException)
        {
            return 0;
        }
    }
}
