using System.Globalization;
using Grpc.Core;
using ModelOps.Temporal.Schedules;
using Temporalio.Api.ErrorDetails.V1;
using Temporalio.Api.Schedule.V1;

namespace ModelOps.Temporal;

/// <summary>Schedules: workflows that start at times.</summary>
internal sealed class ScheduleCalls(Engine engine)
{
    private const int defaultPageSize = 1000;
    private const int matchingLimit = 1000;

    public Task<CreateScheduleResponse> CreateAsync(CreateScheduleRequest request, CancellationToken cancellationToken) =>
        engine.TransactAsync(() =>
        {
            if (request.ScheduleId.Length == 0 || request.Schedule?.Action?.StartWorkflow is null)
                throw RpcErrors.InvalidArgument("A schedule needs an id and a workflow to start.");
            if (engine.Schedules.Find(request.Namespace, request.ScheduleId) is { } existing)
            {
                return existing.RequestId == request.RequestId
                    ? new CreateScheduleResponse { ConflictToken = Token(existing) }
                    : throw AlreadyExists(request.ScheduleId);
            }
            var entry = Checked(() =>
            {
                var now = engine.Time.GetUtcNow();
                var live = LiveSchedule.Create(request.ScheduleId, request.Schedule, now);
                if (request.InitialPatch is { } patch)
                    live.Patch(patch, now);
                return new ScheduleEntry(request.Namespace, request.ScheduleId, request.RequestId, live)
                {
                    Memo = request.Memo ?? new(),
                    SearchAttributes = request.SearchAttributes ?? new(),
                };
            });
            engine.Schedules.Add(entry);
            return new CreateScheduleResponse { ConflictToken = Token(entry) };
        });

    public Task<DescribeScheduleResponse> DescribeAsync(DescribeScheduleRequest request, CancellationToken cancellationToken) =>
        engine.TransactAsync(() =>
        {
            var entry = Known(request.Namespace, request.ScheduleId);
            var (schedule, info) = entry.Live.Describe();
            return new DescribeScheduleResponse
            {
                Schedule = schedule,
                Info = info,
                Memo = entry.Memo,
                SearchAttributes = entry.SearchAttributes,
                ConflictToken = Token(entry),
            };
        });

    public Task<UpdateScheduleResponse> UpdateAsync(UpdateScheduleRequest request, CancellationToken cancellationToken) =>
        engine.TransactAsync(() =>
        {
            var entry = Known(request.Namespace, request.ScheduleId);
            var token = request.ConflictToken.IsEmpty ? 0 : long.Parse(request.ConflictToken.ToStringUtf8(), CultureInfo.InvariantCulture);
            if (!Checked(() => entry.Live.Update(request.Schedule, token, engine.Time.GetUtcNow())))
                throw new RpcException(new Status(StatusCode.FailedPrecondition, "The schedule changed since its conflict token was read."));
            entry.Memo = request.Memo ?? entry.Memo;
            entry.SearchAttributes = request.SearchAttributes ?? entry.SearchAttributes;
            engine.Schedules.Advance(entry);
            return new UpdateScheduleResponse();
        });

    public Task<PatchScheduleResponse> PatchAsync(PatchScheduleRequest request, CancellationToken cancellationToken) =>
        engine.TransactAsync(() =>
        {
            var entry = Known(request.Namespace, request.ScheduleId);
            entry.Live.Patch(request.Patch, engine.Time.GetUtcNow());
            engine.Schedules.Advance(entry);
            return new PatchScheduleResponse();
        });

    public Task<DeleteScheduleResponse> DeleteAsync(DeleteScheduleRequest request, CancellationToken cancellationToken) =>
        engine.TransactAsync(() =>
        {
            engine.Schedules.Remove(Known(request.Namespace, request.ScheduleId));
            return new DeleteScheduleResponse();
        });

    /// <summary>Every schedule, ordered by id; a query is not supported.</summary>
    public Task<ListSchedulesResponse> ListAsync(ListSchedulesRequest request, CancellationToken cancellationToken) =>
        engine.TransactAsync(() =>
        {
            if (request.Query.Length > 0)
                throw RpcErrors.InvalidArgument("Listing schedules by a query is not supported by this server.");
            var size = request.MaximumPageSize is > 0 and < defaultPageSize ? request.MaximumPageSize : defaultPageSize;
            var after = request.NextPageToken.ToStringUtf8();
            var page = engine.Schedules.All(request.Namespace).Where(entry => string.CompareOrdinal(entry.Id, after) > 0).Take(size).ToArray();
            return new ListSchedulesResponse
            {
                Schedules = { page.Select(Entry) },
                NextPageToken = page.Length == size ? ByteString.CopyFromUtf8(page[^1].Id) : ByteString.Empty,
            };
        });

    public Task<ListScheduleMatchingTimesResponse> ListMatchingTimesAsync(
        ListScheduleMatchingTimesRequest request, CancellationToken cancellationToken) => engine.TransactAsync(() =>
    {
        var times = Known(request.Namespace, request.ScheduleId).Live
            .Times(request.StartTime.ToDateTimeOffset(), request.EndTime.ToDateTimeOffset())
            .Take(matchingLimit)
            .Select(Timestamp.FromDateTimeOffset);
        return new ListScheduleMatchingTimesResponse { StartTime = { times } };
    });

    private static ByteString Token(ScheduleEntry entry) => ByteString.CopyFromUtf8($"{entry.Live.State.ConflictToken}");

    private static RpcException AlreadyExists(string id) => RpcErrors.WithDetails(
        StatusCode.AlreadyExists,
        $"schedule with this ID is already registered: {id}",
        new WorkflowExecutionAlreadyStartedFailure());

    private static ScheduleListEntry Entry(ScheduleEntry entry)
    {
        var (schedule, info) = entry.Live.Describe();
        return new()
        {
            ScheduleId = entry.Id,
            Memo = entry.Memo,
            SearchAttributes = entry.SearchAttributes,
            Info = new()
            {
                Spec = schedule.Spec,
                WorkflowType = schedule.Action.StartWorkflow.WorkflowType,
                Notes = schedule.State.Notes,
                Paused = schedule.State.Paused,
                RecentActions = { info.RecentActions },
                FutureActionTimes = { info.FutureActionTimes },
            },
        };
    }

    private static T Checked<T>(Func<T> work)
    {
        try
        {
            return work();
        }
        catch (ScheduleException fault)
        {
            throw RpcErrors.InvalidArgument(fault.Message);
        }
    }

    private ScheduleEntry Known(string ns, string id) =>
        engine.Schedules.Find(ns, id) ?? throw RpcErrors.NotFound($"schedule not found for ID: {id}");
}
