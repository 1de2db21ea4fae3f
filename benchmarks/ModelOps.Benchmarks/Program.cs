using System.CommandLine;
using ModelOps.Benchmarks.Delta;
using ModelOps.Benchmarks.Engine;
using ModelOps.Benchmarks.Gateway;
using ModelOps.Benchmarks.Ingestion;
using ModelOps.Benchmarks.Quality;
using ModelOps.Benchmarks.Quantization;
using ModelOps.Benchmarks.Startup;
using ModelOps.Benchmarks.Storage;
using ModelOps.Benchmarks.Temporal;
using ModelOps.Benchmarks.Tokenizers;
using ModelOps.Benchmarks.Training;

return await new RootCommand("Measures ModelOps against what the machine itself can do.")
{
    DeltaBenchmark.Create(),
    EngineBenchmark.Create(),
    GatewayBenchmark.Create(),
    IngestionBenchmark.Create(),
    QualityBenchmark.Create(),
    QuantizationBenchmark.Create(),
    SizesBenchmark.Create(),
    SoakCommand.Create(),
    StartupBenchmark.Create(),
    StorageCommand.Create(),
    TokenizerBenchmark.Create(),
    TemporalBenchmark.Create(),
    TrainingBenchmark.Create(),
}.Parse(args).InvokeAsync();
