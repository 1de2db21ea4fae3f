using System.CommandLine;
using ModelOps.Benchmarks.Delta;
using ModelOps.Benchmarks.Ingestion;
using ModelOps.Benchmarks.Startup;
using ModelOps.Benchmarks.Storage;

return await new RootCommand("Measures ModelOps against what the machine itself can do.")
{
    DeltaBenchmark.Create(),
    IngestionBenchmark.Create(),
    StartupBenchmark.Create(),
    StorageCommand.Create(),
}.Parse(args).InvokeAsync();
