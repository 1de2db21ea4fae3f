using AttributesCase = Temporalio.Api.History.V1.HistoryEvent.AttributesOneofCase;

namespace ModelOps.Temporal;

internal static class EventTypes
{
    private const string suffix = "EventAttributes";

    private static readonly Dictionary<AttributesCase, EventType> byCase = System.Enum.GetValues<AttributesCase>()
        .Where(attributes => attributes != AttributesCase.None)
        .ToDictionary(attributes => attributes, attributes => System.Enum.Parse<EventType>($"{attributes}"[..^suffix.Length]));

    /// <summary>An event's type follows from the attributes that it carries.</summary>
    public static EventType Of(HistoryEvent made) => byCase[made.AttributesCase];
}
