using ModelOps.Registry;
using ModelOps.Storage;
using ModelOps.Training.Plugins;
using ModelOps.Worker.Activities;
using ModelOps.Worker.Inference;
using ModelOps.Workflows;

namespace ModelOps.Worker.Hosting;

/// <summary>What each role offers: its activities, or the inference engine.</summary>
internal static class WorkerRoles
{
    public static void AddWorkerRole(this IServiceCollection services, WorkerOptions options, ObjectStores stores)
    {
        if (Directory.Exists(options.Scratch)) Directory.Delete(options.Scratch, recursive: true);
        Directory.CreateDirectory(options.Scratch);
        Environment.SetEnvironmentVariable("TMPDIR", options.Scratch); // staged rows and the like of a process that is killed go with its next start
        services.AddSingleton(stores.Objects);
        services.AddSingleton(new BlobStore(stores.Objects));
        services.AddSingleton(new Tables(stores.Tables));
        services.AddSingleton(new ArtifactReader(
            stores.Objects, TrustedKeys.Load(Path.Combine(options.Home, "keys")), new VerifiedFiles(options.VerifiedFiles)));
        services.AddSingleton<VerifiedArtifacts>();
        services.AddSingleton<ServedFiles>().AddSingleton<ModelHost>();
        services.AddSingleton<IngestDatasetActivity>();
        services.AddSingleton<TrainAdapterActivity>();
        services.AddSingleton<QuantizeModelActivity>();
        services.AddSingleton(provider => AllowedPlugins.Load(options, provider.GetRequiredService<ILogger<AlgorithmRegistry>>()));
        services.AddSingleton<EvaluateModelActivity>();
        if (options.Role == WorkerRole.Inference) return;
        services.AddSingleton<ActivityRunner>();
        services.AddSingleton(provider => Handlers(provider, options.Role));
        services.AddSingleton<ILoggerProvider, ActivityLog>();
        services.AddHostedService<ActivityWorker>();
    }

    public static void MapWorkerRole(this WebApplication app, WorkerOptions options)
    {
        if (options.Role != WorkerRole.Inference) return;
        app.MapGrpcService<InferenceService>();
        app.Services.GetRequiredService<ServerLink>().Leaving.Register(app.Lifetime.StopApplication); // the server sends nothing to one that leaves
    }

    private static ActivityHandlers Handlers(IServiceProvider provider, WorkerRole role)
    {
        var handlers = new ActivityHandlers(provider.GetRequiredService<ActivityRunner>());
        switch (role)
        {
            case WorkerRole.Data:
                handlers.Add(Workflows.Activities.IngestDataset, provider.GetRequiredService<IngestDatasetActivity>().RunAsync);
                break;
            case WorkerRole.Training:
                handlers.Add(Workflows.Activities.TrainAdapter, provider.GetRequiredService<TrainAdapterActivity>().RunAsync);
                break;
            case WorkerRole.Quantization:
                handlers.Add(Workflows.Activities.QuantizeModel, provider.GetRequiredService<QuantizeModelActivity>().RunAsync);
                break;
            case WorkerRole.Evaluation:
                handlers.Add(Workflows.Activities.EvaluateModel, provider.GetRequiredService<EvaluateModelActivity>().RunAsync);
                break;
        }
        return handlers;
    }
}

/// <summary>The object store that holds the Delta tables.</summary>
public sealed record Tables(IObjectStore Store);
