using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;
using ModelOps.Client;
using ModelOps.Server.Security;
using Scalar.AspNetCore;

namespace ModelOps.Server.Hosting;

/// <summary>The OpenAPI document at <c>/openapi/v1.json</c>, and <c>/docs</c> that shows it without asking any other host.</summary>
public static class ApiDescription
{
    private const string Bearer = "bearer";
    private const string DocumentPath = "/openapi/{documentName}.json";
    // Scalar's page is its own script, with its styles and the document inline; nothing is fetched from elsewhere.
    private const string DocsPolicy =
        "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; frame-ancestors 'none'";

    public static void AddApiDescription(this IServiceCollection services) => services.AddOpenApi("v1", options =>
    {
        options.AddDocumentTransformer((document, _, _) =>
        {
            document.Info = new OpenApiInfo
            {
                Title = "ModelOps",
                Version = typeof(ApiDescription).Assembly.GetName().Version!.ToString(3),
                Description = "Datasets to signed, quantized, served models. Refusals are RFC 9457 problems under /api/v1, OpenAI's error object under /v1.",
                License = new OpenApiLicense { Name = "Apache-2.0", Identifier = "Apache-2.0" },
            };
            document.Servers = [new OpenApiServer { Url = "/" }];
            document.Components ??= new OpenApiComponents();
            document.Components.SecuritySchemes ??= new Dictionary<string, IOpenApiSecurityScheme>(StringComparer.Ordinal);
            document.Components.SecuritySchemes[Bearer] = new OpenApiSecurityScheme
            {
                Type = SecuritySchemeType.Http,
                Scheme = Bearer,
                Description = "An API key that starts with mo_.",
            };
            return Task.CompletedTask;
        });
        options.AddOperationTransformer(DescribeAsync);
    });

    public static void MapApiDescription(this WebApplication app)
    {
        app.MapOpenApi(DocumentPath);
        app.MapScalarApiReference("/docs", scalar =>
        {
            scalar.Title = "ModelOps API";
            scalar.OpenApiRoutePattern = DocumentPath;
            scalar.DefaultFonts = false;
            scalar.Telemetry = false;
        }).AddEndpointFilter((context, next) =>
        {
            context.HttpContext.Response.Headers.ContentSecurityPolicy = DocsPolicy;
            return next(context);
        });
    }

    /// <summary>What holds for every operation: who may call it, and that what fails is a problem.</summary>
    private static async Task DescribeAsync(OpenApiOperation operation, OpenApiOperationTransformerContext context, CancellationToken cancellationToken)
    {
        var document = context.Document!;
        if (Access.Find(context.Description.HttpMethod ?? "", context.Description.RelativePath) is { IsPublic: false } rule)
        {
            operation.Security = [new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference(Bearer, document)] = [] }];
            operation.Description ??= $"Roles: {string.Join(", ", rule.Roles)}.{(rule.Scope is null ? "" : $" Scope of a narrowed key: {rule.Scope}.")}";
        }
        if (document.Components?.Schemas?.ContainsKey(nameof(Problem)) != true)
            document.AddComponent(nameof(Problem), await context.GetOrCreateSchemaAsync(typeof(Problem), null, cancellationToken));
        operation.Responses ??= [];
        operation.Responses["default"] = new OpenApiResponse
        {
            Description = "What was refused or failed, and why.",
            Content = new Dictionary<string, OpenApiMediaType>(StringComparer.Ordinal)
            {
                ["application/problem+json"] = new OpenApiMediaType { Schema = new OpenApiSchemaReference(nameof(Problem), document) },
            },
        };
    }
}
