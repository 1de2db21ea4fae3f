using System.Globalization;
using ModelOps.ObjectWriter;
using ModelOps.Storage;

// delta ROOT STEP: changes the Delta table at ROOT and kills itself at that step.
if (args[0] == "delta")
{
    await KilledStep.RunAsync(args[1], int.Parse(args[2], CultureInfo.InvariantCulture));
    return;
}

// ingest ROOT FILE JOB STEP: ingests the file into the store at ROOT and kills itself at that step; says how many steps there were if there is no such.
if (args[0] == "ingest")
{
    await Console.Out.WriteLineAsync($"{await KilledIngestion.RunAsync(args[1], args[2], args[3], int.Parse(args[4], CultureInfo.InvariantCulture))}");
    return;
}

// ROOT NAME: puts objects into the file store at ROOT, from four threads, until it is killed; says each key once its put has returned.
const int writers = 4;
var store = new FileObjectStore(args[0]);
await Task.WhenAll(Enumerable.Range(0, writers).Select(writer => Task.Run(() => PutForeverAsync($"{args[1]}-{writer}"))));

async Task PutForeverAsync(string writer)
{
    for (var i = 0; ; i++)
    {
        var key = i % 5 == 4 ? $"replaced/{writer}" : $"put/{writer}/{i}";
        using var content = new MemoryStream(ObjectContent.Of(key, i));
        await store.PutAsync(key, content, i % 2 == 0 || i % 5 == 4 ? PutMode.Replace : PutMode.IfAbsent);
        await Console.Out.WriteLineAsync(key);
    }
}
