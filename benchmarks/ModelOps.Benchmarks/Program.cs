using System.CommandLine;
using ModelOps.Benchmarks.Startup;
using ModelOps.Benchmarks.Storage;

return await new RootCommand("Measures ModelOps against what the machine itself can do.")
{
    StartupBenchmark.Create(),
    StorageCommand.Create(),
}.Parse(args).InvokeAsync();
