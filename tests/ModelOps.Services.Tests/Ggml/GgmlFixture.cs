using ModelOps.Ggml;

namespace ModelOps.Services.Tests.Ggml;

/// <summary>One tiny model for the tests of a class, and a folder that goes with it.</summary>
public sealed class GgmlFixture : IDisposable
{
    public GgmlFixture()
    {
        Folder = Directory.CreateTempSubdirectory("modelops-ggml-").FullName;
        ModelPath = InFolder("tiny.gguf");
        new TinyGguf().Write(ModelPath);
        Model = LlamaModel.Load(ModelPath);
    }

    public string Folder { get; }

    public string ModelPath { get; }

    public LlamaModel Model { get; }

    public string InFolder(string name) => Path.Combine(Folder, name);

    public void Dispose()
    {
        Model.Dispose();
        Directory.Delete(Folder, recursive: true);
    }
}
