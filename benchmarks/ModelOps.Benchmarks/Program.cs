using System.CommandLine;
using ModelOps.Benchmarks.Storage;

return await new RootCommand("Measures ModelOps against what the machine itself can do.")
{
    StorageCommand.Create(),
}.Parse(args).InvokeAsync();
