using System.Collections.Concurrent;
using System.Threading.Channels;

namespace ModelOps.Ggml;

/// <summary>
/// Brings what a step made to its readers, from the thread pool and in order. A step so wakes one thread: to wake a thread for each of its
/// sequences takes longer than the step of a small model.
/// </summary>
internal sealed class PieceDelivery : IThreadPoolWorkItem
{
    private readonly ConcurrentQueue<(ChannelWriter<GeneratedPiece> Reader, GeneratedPiece? Piece, Exception? Error)> waiting = new();
    private int underWay;

    public void Add(ChannelWriter<GeneratedPiece> reader, GeneratedPiece piece) => waiting.Enqueue((reader, piece, null));

    /// <summary>There are no more pieces; because of <paramref name="error"/>, if there is one.</summary>
    public void AddEnd(ChannelWriter<GeneratedPiece> reader, Exception? error) => waiting.Enqueue((reader, null, error));

    /// <summary>Sends what was added.</summary>
    public void Start()
    {
        if (!waiting.IsEmpty && Interlocked.Exchange(ref underWay, 1) == 0) ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal: false);
    }

    void IThreadPoolWorkItem.Execute()
    {
        do
        {
            while (waiting.TryDequeue(out var next))
            {
                if (next.Piece is { } piece) next.Reader.TryWrite(piece);
                else next.Reader.TryComplete(next.Error);
            }
            Volatile.Write(ref underWay, 0);
        }
        while (!waiting.IsEmpty && Interlocked.Exchange(ref underWay, 1) == 0);
    }
}
