using Google.Protobuf.Collections;
using Temporalio.Api.Command.V1;

namespace ModelOps.Temporal;

/// <summary>A run's memo and search attributes, as the workflow left them.</summary>
internal sealed class Properties(Run run) : RunPart(run)
{
    public Memo Memo { get; private set; } = new();
    public SearchAttributes SearchAttributes { get; private set; } = new();

    public override void Apply(HistoryEvent applied)
    {
        if (applied.WorkflowExecutionStartedEventAttributes is { } started)
        {
            Memo = started.Memo?.Clone() ?? new();
            SearchAttributes = started.SearchAttributes?.Clone() ?? new();
        }
        else if (applied.WorkflowPropertiesModifiedEventAttributes is { UpsertedMemo: { } memo })
        {
            Merge(Memo.Fields, memo.Fields);
        }
        else if (applied.UpsertWorkflowSearchAttributesEventAttributes is { SearchAttributes: { } attributes })
        {
            Merge(SearchAttributes.IndexedFields, attributes.IndexedFields);
        }
    }

    public void Upsert(UpsertWorkflowSearchAttributesCommandAttributes wanted, long completedEventId) => Run.Append(new()
    {
        UpsertWorkflowSearchAttributesEventAttributes = new()
        {
            WorkflowTaskCompletedEventId = completedEventId,
            SearchAttributes = wanted.SearchAttributes,
        },
    });

    public void Upsert(ModifyWorkflowPropertiesCommandAttributes wanted, long completedEventId) => Run.Append(new()
    {
        WorkflowPropertiesModifiedEventAttributes = new()
        {
            WorkflowTaskCompletedEventId = completedEventId,
            UpsertedMemo = wanted.UpsertedMemo,
        },
    });

    /// <summary>An empty value removes what it names.</summary>
    private static void Merge(MapField<string, Payload> into, MapField<string, Payload> upserted)
    {
        foreach (var (name, value) in upserted)
        {
            if (value.Data.IsEmpty || (value.Data.Length <= 4 && value.Data.ToStringUtf8() is "null" or "[]"))
                into.Remove(name);
            else
                into[name] = value;
        }
    }
}
