using System.CommandLine;
using ModelOps.Benchmarks.Ingestion;
using ModelOps.Benchmarks.Startup;
using ModelOps.Benchmarks.Storage;
using ModelOps.Benchmarks.Temporal;

return await new RootCommand("Measures ModelOps against what the machine itself can do.")
{
    IngestionBenchmark.Create(),
    StartupBenchmark.Create(),
    StorageCommand.Create(),
    TemporalBenchmark.Create(),
}.Parse(args).InvokeAsync();
