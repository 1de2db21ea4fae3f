using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text;
using ModelOps.Ggml;

namespace ModelOps.Services.Tests.Ggml;

/// <summary>
/// Mutated models are loaded and used in a child process, because native code that runs into an assertion takes its process with it.
/// </summary>
public sealed class MalformedGgufTests
{
    private const string FolderVariable = "MODELOPS_TEST_MALFORMED_GGUF";
    private const string Outcomes = "outcomes.txt";
    private const int Files = 400;

    [Fact]
    public async Task Load_MutatedHeaders_LoadOrThrowButNeverAbort()
    {
        var folder = Directory.CreateTempSubdirectory("modelops-malformed-").FullName;
        try
        {
            WriteMutations(folder);

            var exit = await RunChild(folder);

            var outcomes = await File.ReadAllLinesAsync(Path.Combine(folder, Outcomes), TestContext.Current.CancellationToken);
            Assert.True(exit == 0, $"the child ended with {exit} at {outcomes.LastOrDefault()}");
            Assert.Equal(Files, outcomes.Count(line => line.EndsWith(" done", StringComparison.Ordinal)));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>The child's part: before anything else in this assembly, and nothing after it.</summary>
    [ModuleInitializer]
    internal static void UseEveryFile()
    {
        if (Environment.GetEnvironmentVariable(FolderVariable) is not { } folder) return;
        using (var outcomes = new StreamWriter(Path.Combine(folder, Outcomes), append: true) { AutoFlush = true })
        {
            foreach (var path in Directory.EnumerateFiles(folder, "*.gguf").Order(StringComparer.Ordinal))
            {
                outcomes.WriteLine(Path.GetFileName(path));
                outcomes.WriteLine($"{Path.GetFileName(path)} {Use(path)} done");
                File.Delete(path);
            }
        }
        Environment.Exit(0);
    }

    private static string Use(string path)
    {
        try
        {
            using var model = LlamaModel.Load(path, new LlamaModelOptions { CheckTensors = true });
            model.Tokenize("hello <|im_end|> wörld", addSpecial: true, parseSpecial: true);
            var options = new LlamaEvaluatorOptions { ContextSize = Math.Min(8, model.ContextLength), Threads = 1 };
            using var evaluator = new LlamaEvaluator(model, options);
            evaluator.Logits([3]);
            return "used";
        }
        catch (Exception exception) when (exception is GgmlException or ArgumentException or InvalidOperationException)
        {
            return exception.GetType().Name + " " + exception.Message;
        }
    }

    private static void WriteMutations(string folder)
    {
        var original = Path.Combine(folder, "original");
        new TinyGguf { Width = 32, Heads = 2, KeyValueHeads = 1, HiddenWidth = 32, Layers = 1 }.Write(original);
        var bytes = File.ReadAllBytes(original);
        var header = bytes.AsSpan().IndexOf("blk.0.ffn_down.weight"u8) + 64;
        var random = new Random(22);
        for (var i = 0; i < Files; i++)
            File.WriteAllBytes(
                Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{i:D4}.gguf")),
                i < Files / 2 ? Mutated(bytes, random, random.Next(header)) : MutatedValue(bytes, random));
    }

    private static byte[] Mutated(byte[] original, Random random, int at)
    {
        var bytes = original.ToArray();
        switch (random.Next(4))
        {
            case 0: bytes[at] ^= (byte)(1 << random.Next(8)); break;
            case 1: bytes[at] = (byte)random.Next(256); break;
            case 2: BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(at), Interesting(random)); break;
            default: BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(at), ulong.MaxValue >> random.Next(64)); break;
        }
        return bytes;
    }

    /// <summary>Another number under one of the keys that shape the model: valid as a file, senseless as a model.</summary>
    private static byte[] MutatedValue(byte[] original, Random random)
    {
        string[] keys =
        [
            "llama.block_count", "llama.context_length", "llama.embedding_length", "llama.feed_forward_length",
            "llama.attention.head_count", "llama.attention.head_count_kv",
            "llama.attention.layer_norm_rms_epsilon", "llama.rope.dimension_count",
            "tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id",
        ];
        var key = Encoding.UTF8.GetBytes(keys[random.Next(keys.Length)]);
        var bytes = original.ToArray();
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(KeyEnd(bytes, key) + sizeof(uint)), Interesting(random));
        return bytes;
    }

    private static int KeyEnd(byte[] bytes, byte[] key)
    {
        var withLength = new byte[sizeof(ulong) + key.Length];
        BinaryPrimitives.WriteUInt64LittleEndian(withLength, (ulong)key.Length);
        key.CopyTo(withLength, sizeof(ulong));
        return bytes.AsSpan().IndexOf(withLength) + withLength.Length;
    }

    private static uint Interesting(Random random)
    {
        uint[] numbers = [0, 1, 2, 3, 5, 7, 16, 31, 33, 64, 255, 256, 512, 1024, 65535, 1 << 20, int.MaxValue, 1u << 31, uint.MaxValue];
        return numbers[random.Next(numbers.Length)];
    }

    private static async Task<int> RunChild(string folder)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!)
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
            start.ArgumentList.Add(typeof(MalformedGgufTests).Assembly.Location);
        start.Environment[FolderVariable] = folder;
        using var child = Process.Start(start)!;
        using var timeout = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        timeout.CancelAfter(TimeSpan.FromMinutes(2));
        try
        {
            await Task.WhenAll(
                child.StandardOutput.ReadToEndAsync(timeout.Token),
                child.StandardError.ReadToEndAsync(timeout.Token),
                child.WaitForExitAsync(timeout.Token));
            return child.ExitCode;
        }
        finally
        {
            if (!child.HasExited) child.Kill(entireProcessTree: true);
        }
    }
}
