using ModelOps.Benchmarks.Startup;

switch (args.FirstOrDefault())
{
    case "startup":
        return await StartupBenchmark.RunAsync();
    default:
        await Console.Error.WriteLineAsync("usage: ModelOps.Benchmarks startup");
        return 2;
}
