using System.Text.Json;
using ModelOps.Quantization;
using ModelOps.Worker.Hosting;
using ModelOps.Workflows;

namespace ModelOps.Worker.Activities;

/// <summary>
/// The model that a job quantizes to several types, merged and converted once. At most one is kept, for the activities of this process, which
/// come one after the other; another worker makes its own.
/// </summary>
internal sealed class PreparedModels(WorkerOptions options) : IDisposable
{
    private (string Key, ScratchFolder Folder, PreparedModel Model)? kept;

    /// <param name="prepare">Makes it in the folder that it is given.</param>
    public async Task<PreparedModel> GetAsync(QuantizeModel input, Func<string, Task<PreparedModel>> prepare)
    {
        var key = KeyOf(input);
        if (kept is { } found && found.Key == key) return found.Model;
        Release();
        var folder = new ScratchFolder(options);
        try
        {
            var model = await prepare(folder.Path);
            kept = (key, folder, model);
            return model;
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    public void Release()
    {
        kept?.Folder.Dispose();
        kept = null;
    }

    public void Dispose() => Release();

    /// <summary>All of the input that the type is not.</summary>
    private static string KeyOf(QuantizeModel input) => JsonSerializer.Serialize(input with { Type = "", More = false }, ActivityJson.Default.QuantizeModel);
}
