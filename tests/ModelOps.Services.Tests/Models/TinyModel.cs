using ModelOps.ModelFiles;

namespace ModelOps.Services.Tests.Models;

/// <summary>A random model in a folder of its own.</summary>
internal sealed class TinyModel : IDisposable
{
    private readonly TempFolder folder = new();

    public TinyModel(ModelConfig config) => Files = TestModels.Write(folder.Path, config);

    public ModelFolder Files { get; }

    public void Dispose() => folder.Dispose();
}
