using System.ComponentModel.DataAnnotations;

namespace ModelOps.Server.Workflows;

/// <summary>What jobs run on: the service in this process, or a Temporal cluster.</summary>
public sealed record WorkflowsOptions : IValidatableObject
{
    /// <summary>A Temporal cluster's frontend, <c>host:port</c>; without one the server's own service runs, and keeps its state in <c>workflows.db</c>.</summary>
    public string? Address { get; init; }

    /// <summary>The namespace of the workflows; a cluster must have it.</summary>
    [Required]
    public string Namespace { get; init; } = "default";

    /// <summary>Whether the cluster is reached over TLS.</summary>
    public bool Tls { get; init; }

    /// <summary>PEM file of the authority that signed the cluster's certificate; without one the system's authorities.</summary>
    public string? Ca { get; init; }

    /// <summary>Sent to the cluster as a bearer token.</summary>
    [DataType(DataType.Password)]
    public string? ApiKey { get; init; }

    /// <summary>How long the server's own service keeps the history of a job that has ended.</summary>
    [Range(typeof(TimeSpan), "01:00:00", "3650.00:00:00")]
    public TimeSpan Retention { get; init; } = TimeSpan.FromDays(30);

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        // Of a scheme without a default port, for 80 is a port like others.
        if (Address is not null && !(Uri.TryCreate($"temporal://{Address}", UriKind.Absolute, out var uri) && uri is { Port: > 0, UserInfo: "", PathAndQuery: "" or "/" }))
            yield return new($"'{Address}' is not host:port", [nameof(Address)]);
        if (Ca is not null && !File.Exists(Ca)) yield return new($"there is no file {Ca}", [nameof(Ca)]);
        if ((Ca ?? ApiKey) is not null && !Tls) yield return new("it needs tls: an authority and a key are of use only there", [nameof(Tls)]);
    }
}
