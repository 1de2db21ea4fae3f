using System.ComponentModel.DataAnnotations;
using System.Net;

namespace ModelOps.Server.Hosting;

/// <summary>Where the server listens, with HTTPS.</summary>
public sealed record ListenOptions : IValidatableObject
{
    public const int DefaultPort = 8000;
    public const string DefaultAddress = "127.0.0.1";

    /// <summary>IP address to listen on; <c>0.0.0.0</c> or <c>::</c> is every address of the machine.</summary>
    public string Address { get; init; } = DefaultAddress;

    /// <summary>TCP port; 0 takes any free one, which then stands in credentials.json.</summary>
    [Range(0, 65535)]
    public int Port { get; init; } = DefaultPort;

    public IEnumerable<ValidationResult> Validate(ValidationContext validationContext)
    {
        if (!IPAddress.TryParse(Address, out _))
            yield return new($"'{Address}' is no IP address; write one like 127.0.0.1, 0.0.0.0 or ::1", [nameof(Address)]);
    }
}
