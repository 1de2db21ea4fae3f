namespace ModelOps.Temporal;

/// <summary>What waits in a task queue, and who polls it.</summary>
internal sealed class TaskQueueCalls(Engine engine)
{
    public Task<DescribeTaskQueueResponse> DescribeAsync(DescribeTaskQueueRequest request, CancellationToken cancellationToken) =>
        engine.TransactAsync(() =>
        {
            var kind = request.TaskQueueType == TaskQueueType.Activity ? TaskKind.Activity : TaskKind.Workflow;
            var queue = engine.Matching.Queue(new(request.Namespace, kind, request.TaskQueue.Name));
            var waiting = queue.Offers.ToArray();
            var response = new DescribeTaskQueueResponse
            {
                Stats = Stats(waiting),
                Pollers =
                {
                    queue.RecentPollers.Select(poller => new PollerInfo
                    {
                        Identity = poller.Identity,
                        LastAccessTime = Timestamp.FromDateTimeOffset(poller.LastAccess),
                    }),
                },
            };
            foreach (var group in waiting.GroupBy(offer => offer.Priority))
                response.StatsByPriorityKey[group.Key] = Stats([.. group]);
            return response;
        });

    private TaskQueueStats Stats(Offer[] waiting) => new()
    {
        ApproximateBacklogCount = waiting.Length,
        ApproximateBacklogAge = Duration.FromTimeSpan(
            waiting.Length == 0 ? TimeSpan.Zero : engine.Time.GetUtcNow() - waiting.Min(offer => offer.Since)),
    };
}
