using System.Net;
using System.Security.Cryptography.X509Certificates;

namespace ModelOps.Temporal;

/// <summary>How a <see cref="TemporalServer"/> stores and listens.</summary>
public sealed record TemporalServerOptions
{
    public static readonly TimeSpan DefaultRetention = TimeSpan.FromDays(30);

    /// <summary>The SQLite file, made when it does not exist; one server at a time holds it.</summary>
    /// <value>The default is null: a temporary database that ends with the server.</value>
    public string? DatabasePath { get; init; }

    /// <summary>Where workers and clients connect; port 0 takes a free one.</summary>
    /// <value>The default is 127.0.0.1 with a free port.</value>
    public IPEndPoint Address { get; init; } = new(IPAddress.Loopback, 0);

    /// <summary>An address that other machines reach is refused without it, and without a <see cref="Token"/>.</summary>
    public bool AllowRemote { get; init; }

    /// <summary>When set, every call carries <c>authorization: Bearer TOKEN</c> or is refused as UNAUTHENTICATED.</summary>
    public string? Token { get; init; }

    /// <summary>When set, the service speaks TLS with it.</summary>
    public X509Certificate2? Certificate { get; init; }

    /// <summary>The namespace that exists from the start.</summary>
    /// <value>The default is <c>default</c>.</value>
    public string Namespace { get; init; } = "default";

    /// <summary>How long a closed run stays readable.</summary>
    /// <value>The default is 30 days.</value>
    public TimeSpan Retention { get; init; } = DefaultRetention;

    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;
}
