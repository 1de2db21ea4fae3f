using System.Collections.Frozen;
using ModelOps.Registry;
using static ModelOps.Registry.Roles;

namespace ModelOps.Server.Security;

/// <summary>
/// Who may use which endpoint: the one table of it. An endpoint that it does not name is refused to everybody.
/// </summary>
/// <remarks>
/// A row is the method and the route as it is mapped, the roles, the scope that a narrowed API key needs, and the action under which a
/// success is audited; none where nothing changes or where the change writes its own audit row. A route that ends in <c>/**</c> names
/// everything below, and the method <c>*</c> every method.
/// </remarks>
public static class Access
{
    private static readonly string[] readers = [Viewer, Engineer, Approver, Service, Admin];
    private static readonly string[] callers = [Engineer, Approver, Service, Admin];
    private static readonly string[] makers = [Engineer, Admin];
    private static readonly string[] publishers = [Engineer, Service, Admin];
    private static readonly string[] promoters = [Engineer, Approver, Admin];
    private static readonly string[] auditors = [Approver, Admin];
    private static readonly string[] people = [Viewer, Engineer, Approver, Admin];
    private static readonly string[] admins = [Admin];
    private static readonly string[] workers = [Service];

    private static readonly AccessRule[] table =
    [
        Public("GET /healthz"),
        Public("GET /readyz"),
        Public("GET /.well-known/jwks.json"),
        Public("GET /openapi/{documentName}.json"),
        Public("GET /docs/**"),
        Row("* /metrics", [Viewer, Service, Admin], "metrics:read"),

        Public("POST /api/v1/auth/login"),
        Public("POST /api/v1/auth/refresh"),
        Row("POST /api/v1/auth/logout", readers, scope: null),
        Row("POST /api/v1/auth/password", people, "password:write"),
        Row("GET /api/v1/auth/whoami", readers, scope: null),
        Row("GET /api/v1/access", readers, scope: null),

        Row("GET /api/v1/users", admins, "users:read"),
        Row("POST /api/v1/users", admins, "users:write"),
        Row("GET /api/v1/users/{name}", admins, "users:read"),
        Row("POST /api/v1/users/{name}", admins, "users:write"),
        Row("DELETE /api/v1/users/{name}", admins, "users:write"),
        Row("POST /api/v1/users/{name}/password", admins, "users:write"),
        Row("GET /api/v1/keys", people, "keys:read"),
        Row("POST /api/v1/keys", people, "keys:write"),
        Row("DELETE /api/v1/keys/{id}", people, "keys:write"),
        Row("GET /api/v1/audit", auditors, "audit:read"),
        Row("GET /api/v1/audit/verification", auditors, "audit:read"),

        Row("GET /api/v1/config", admins, "config:read"),
        Row("POST /api/v1/backup", admins, "backup:write"),
        Row("POST /api/v1/restore", admins, "backup:write"),

        Row("GET /api/v1/artifacts", readers, "artifacts:read"),
        Row("POST /api/v1/artifacts", publishers, "artifacts:write", "artifact.registered"),
        Row("GET /api/v1/artifacts/{reference}", readers, "artifacts:read"),
        Row("POST /api/v1/artifacts/{reference}/verify", readers, "artifacts:read"),
        Row("GET /api/v1/artifacts/{reference}/lineage", readers, "artifacts:read"),
        Row("HEAD /api/v1/blobs/{sha256}", publishers, "artifacts:write"),
        Row("PUT /api/v1/blobs/{sha256}", publishers, "artifacts:write"),

        Row("POST /api/v1/artifacts/{reference}/promote", promoters, "artifacts:approve"),
        Row("POST /api/v1/artifacts/{reference}/approve", auditors, "artifacts:approve"),
        Row("POST /api/v1/artifacts/{reference}/reject", auditors, "artifacts:approve"),
        Row("POST /api/v1/artifacts/{reference}/archive", promoters, "artifacts:approve"),
        Row("DELETE /api/v1/artifacts/{reference}", makers, "artifacts:delete"),
        Row("GET /api/v1/approvals", readers, "artifacts:read"),
        Row("GET /api/v1/artifacts/{name}/aliases", readers, "artifacts:read"),
        Row("GET /api/v1/artifacts/{name}/alias-moves", readers, "artifacts:read"),
        Row("PUT /api/v1/artifacts/{name}/aliases/{alias}", makers, "artifacts:write"),
        Row("DELETE /api/v1/artifacts/{name}/aliases/{alias}", makers, "artifacts:write"),
        Row("POST /api/v1/artifacts/prune", admins, "artifacts:delete"),

        Row("GET /api/v1/blobs/{sha256}", readers, "artifacts:read"),
        Row("GET /api/v1/artifacts/{reference}/package", readers, "artifacts:read"),
        Row("POST /api/v1/artifacts/import", publishers, "artifacts:write"),
        Row("POST /api/v1/artifacts/{reference}/revoke", auditors, "artifacts:approve"),

        Row("GET /api/v1/signing-keys", readers, "signing:read"),
        Row("GET /api/v1/signing-keys/{keyId}", readers, "signing:read"),
        Row("POST /api/v1/signing-keys", admins, "signing:write"),
        Row("POST /api/v1/signing-keys/rotate", admins, "signing:write"),
        Row("POST /api/v1/signing-keys/{keyId}/revoke", admins, "signing:write"),

        Row("GET /api/v1/datasets", readers, "datasets:read"),
        Row("GET /api/v1/datasets/{name}", readers, "datasets:read"),
        Row("GET /api/v1/datasets/{name}/history", readers, "datasets:read"),
        Row("GET /api/v1/datasets/{name}/diff", readers, "datasets:read"),
        Row("POST /api/v1/datasets/{name}/query", readers, "datasets:read"),
        Row("POST /api/v1/datasets/preview", makers, "datasets:write"),
        Row("POST /api/v1/datasets/{name}/versions", makers, "datasets:write", "job.started"),

        Row("GET /api/v1/jobs", readers, "jobs:read"),
        Row("GET /api/v1/jobs/{id}", readers, "jobs:read"),
        Row("GET /api/v1/jobs/{id}/logs", readers, "jobs:read"),
        Row("GET /api/v1/jobs/{id}/logs/stream", readers, "jobs:read"),
        Row("GET /api/v1/jobs/{id}/events", readers, "jobs:read"),
        Row("GET /api/v1/jobs/{id}/checkpoints", readers, "jobs:read"),
        Row("GET /api/v1/jobs/{id}/metrics", readers, "jobs:read"),
        Row("GET /api/v1/jobs/{id}/samples", readers, "jobs:read"),
        Row("GET /api/v1/jobs/{id}/trace", readers, "jobs:read"),
        Row("* /api/v1/jobs/{id}/events/ws", readers, "jobs:read"),
        Row("POST /api/v1/jobs/{id}/cancel", makers, "jobs:write", "job.canceled"),
        Row("POST /api/v1/jobs/{id}/pause", makers, "jobs:write", "job.paused"),
        Row("POST /api/v1/jobs/{id}/resume", makers, "jobs:write", "job.resumed"),
        Row("POST /api/v1/jobs/{id}/retry", makers, "jobs:write", "job.retried"),
        Row("POST /api/v1/jobs/{id}/reports", workers, "workers"),
        Row("GET /api/v1/workers/settings", workers, "workers"),
        Row("POST /api/v1/workers/spans", workers, "workers"),
        Row("POST /temporal.api.workflowservice.v1.WorkflowService/**", workers, "workers"),
        Row("POST /api/v1/trainings", makers, "jobs:write", "job.started"),
        Row("POST /api/v1/trainings/plan", makers, "jobs:write", "job.started"),
        Row("POST /api/v1/quantizations", makers, "jobs:write", "job.started"),
        Row("POST /api/v1/evaluations", makers, "jobs:write", "job.started"),

        Row("GET /api/v1/deployments", readers, "deployments:read"),
        Row("POST /api/v1/deployments", makers, "deployments:write", "deployment.created"),
        Row("GET /api/v1/deployments/{name}", readers, "deployments:read"),
        Row("DELETE /api/v1/deployments/{name}", makers, "deployments:write", "deployment.deleted"),
        Row("GET /api/v1/deployments/{name}/adapters", readers, "deployments:read"),
        Row("PUT /api/v1/deployments/{name}/adapters/{adapter}", makers, "deployments:write", "deployment.adapter_added"),
        Row("DELETE /api/v1/deployments/{name}/adapters/{adapter}", makers, "deployments:write", "deployment.adapter_removed"),

        Row("GET /api/v1/backends", readers, "deployments:read"),
        Row("GET /api/v1/workers", readers, "workers:read"),

        Row("GET /v1/models", readers, "inference"),
        Row("GET /v1/models/{id}", readers, "inference"),
        Row("DELETE /v1/models/{id}", makers, "deployments:write", "deployment.deleted"),
        Row("GET /v1/files", readers, "files:read"),
        Row("POST /v1/files", makers, "files:write", "file.uploaded"),
        Row("GET /v1/files/{id}", readers, "files:read"),
        Row("GET /v1/files/{id}/content", readers, "files:read"),
        Row("DELETE /v1/files/{id}", makers, "files:write", "file.deleted"),
        Row("GET /v1/fine_tuning/jobs", readers, "jobs:read"),
        Row("POST /v1/fine_tuning/jobs", makers, "jobs:write", "job.started"),
        Row("GET /v1/fine_tuning/jobs/{id}", readers, "jobs:read"),
        Row("GET /v1/fine_tuning/jobs/{id}/events", readers, "jobs:read"),
        Row("GET /v1/fine_tuning/jobs/{id}/checkpoints", readers, "jobs:read"),
        Row("POST /v1/fine_tuning/jobs/{id}/cancel", makers, "jobs:write", "job.canceled"),
        Row("POST /v1/fine_tuning/jobs/{id}/pause", makers, "jobs:write", "job.paused"),
        Row("POST /v1/fine_tuning/jobs/{id}/resume", makers, "jobs:write", "job.resumed"),
        Row("POST /v1/chat/completions", callers, "inference"),
        Row("POST /v1/completions", callers, "inference"),
        Row("POST /v1/responses", callers, "inference"),
        Row("POST /v1/embeddings", callers, "inference"),
        Row("POST /v1/rerank", callers, "inference"),
        Row("* /api/v1/stream", callers, "inference"),
        Row("POST /modelops.inference.v1.Inference/**", callers, "inference"),

        Row("GET /api/version", readers, "inference"),
        Row("GET /api/tags", readers, "inference"),
        Row("POST /api/show", readers, "inference"),
        Row("POST /api/chat", callers, "inference"),
        Row("POST /api/generate", callers, "inference"),
        Row("POST /api/embed", callers, "inference"),
    ];

    private static readonly FrozenDictionary<(string Method, string Route), AccessRule> exact =
        table.Where(rule => !rule.IsPrefix).ToFrozenDictionary(rule => (rule.Method, rule.Route));

    private static readonly AccessRule[] prefixes = [.. table.Where(rule => rule.IsPrefix)];

    /// <summary>Every scope that a key can have.</summary>
    public static IReadOnlyList<string> Scopes { get; } =
        [ApiKeys.AllScopes, .. table.Select(rule => rule.Scope).OfType<string>().Distinct().Order(StringComparer.Ordinal)];

    /// <returns>Null: the table does not name it.</returns>
    public static AccessRule? Find(string method, string? route)
    {
        var normal = Normal(route);
        return exact.GetValueOrDefault((method, normal))
            ?? exact.GetValueOrDefault(("*", normal))
            ?? Array.Find(prefixes, rule => rule.Covers(method, normal));
    }

    public static AccessDecision Decide(AccessRule? rule, ApiPrincipal? principal)
    {
        if (rule is null) return new AccessDecision.Denied("this address is not open to anybody yet: the table of access does not name it");
        if (rule.IsPublic) return new AccessDecision.Allowed();
        if (principal is null) return new AccessDecision.SignInNeeded();
        var refusing = new[] { principal.Role, principal.OwnerRole ?? principal.Role }.Where(role => !rule.Roles.Contains(role, StringComparer.Ordinal)).ToList();
        if (refusing.Count > 0)
            return new AccessDecision.Denied(
                $"{principal.Name} has the role {(refusing[0].Length == 0 ? "none" : refusing[0])}; this needs {string.Join(" or ", rule.Roles)}");
        var scopes = principal.Scopes.Split(' ');
        return rule.Scope is null || scopes.Contains(ApiKeys.AllScopes, StringComparer.Ordinal) || scopes.Contains(rule.Scope, StringComparer.Ordinal)
            ? new AccessDecision.Allowed()
            : new AccessDecision.Denied($"the API key has the scopes {principal.Scopes}; this needs {rule.Scope}");
    }

    private static AccessRule Public(string endpoint) => Row(endpoint, roles: [], scope: null);

    private static AccessRule Row(string endpoint, string[] roles, string? scope, string? audit = null) =>
        endpoint.Split(' ', 2) is [var method, var route]
            ? new AccessRule(method, Normal(route), roles, scope, audit)
            : throw new ArgumentException($"'{endpoint}' is not a method and a route", nameof(endpoint));

    private static string Normal(string? route) => '/' + (route ?? "").Trim('/');
}

/// <param name="Roles">None: it is public.</param>
/// <param name="Scope">What a narrowed key needs; null: any key will do.</param>
/// <param name="Audit">The action under which a success is audited.</param>
public sealed record AccessRule(string Method, string Route, IReadOnlyList<string> Roles, string? Scope, string? Audit)
{
    private const string everythingBelow = "/**";

    public bool IsPublic => Roles.Count == 0;

    public bool IsPrefix => Route.EndsWith(everythingBelow, StringComparison.Ordinal);

    public bool Covers(string method, string route) =>
        (Method == "*" || Method == method) && route.StartsWith(Route[..^(everythingBelow.Length - 1)], StringComparison.Ordinal);
}

public abstract record AccessDecision
{
    private AccessDecision()
    {
    }

    public sealed record Allowed : AccessDecision;

    public sealed record SignInNeeded : AccessDecision;

    public sealed record Denied(string Reason) : AccessDecision;
}
