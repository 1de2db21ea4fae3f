using ModelOps.Client;
using Spectre.Console;

namespace ModelOps.Cli.Output;

/// <summary>The lineage graph as trees. What was drawn already is named again with a mark, not drawn again: a graph has no end, a tree has.</summary>
internal static class LineageView
{
    private const string Mark = "(above)";

    /// <summary>What the root was made from, what was made of it, or both.</summary>
    public static void Show(IAnsiConsole screen, LineageGraph graph, bool upstream, bool downstream)
    {
        var nodes = graph.Nodes.ToDictionary(node => node.Id, StringComparer.Ordinal);
        if (upstream)
        {
            Draw(screen, nodes, graph.Root, graph.Edges.ToLookup(edge => edge.To, edge => (edge.From, edge.Role), StringComparer.Ordinal));
        }
        if (upstream && downstream)
        {
            screen.WriteLine();
            screen.WriteLine("used by");
        }
        if (downstream)
        {
            // A job stands upstream of what it made: it is what was done, not what was made of the root.
            var uses = graph.Edges.Where(edge => nodes[edge.From].Type != LineageNodeTypes.Job);
            Draw(screen, nodes, graph.Root, uses.ToLookup(edge => edge.From, edge => (edge.To, edge.Role), StringComparer.Ordinal));
        }
    }

    private static void Draw(
        IAnsiConsole screen, Dictionary<string, LineageNode> nodes, string root, ILookup<string, (string Id, string Role)> next)
    {
        var tree = new Tree(new Text(LabelOf(nodes[root])));
        var drawn = new HashSet<string>(StringComparer.Ordinal) { root };
        var open = new Stack<(IHasTreeNodes Above, string Id, string Role)>(next[root].Reverse().Select(step => ((IHasTreeNodes)tree, step.Id, step.Role)));
        while (open.TryPop(out var step))
        {
            var label = $"{step.Role}: {LabelOf(nodes[step.Id])}";
            if (!drawn.Add(step.Id))
            {
                step.Above.AddNode(new Text($"{label} {Mark}"));
                continue;
            }
            var branch = step.Above.AddNode(new Text(label));
            foreach (var (id, role) in next[step.Id].Reverse())
            {
                open.Push((branch, id, role));
            }
        }
        screen.Write(tree);
    }

    private static string LabelOf(LineageNode node) => node.Type switch
    {
        LineageNodeTypes.Job => $"job {node.Id[(node.Id.IndexOf(':', StringComparison.Ordinal) + 1)..]} ({node.Kind}, {node.State})",
        LineageNodeTypes.Deployment => $"deployment {node.Id[(node.Id.IndexOf(':', StringComparison.Ordinal) + 1)..]}",
        _ => $"{node.Id} ({node.Kind}, {node.Stage}){string.Concat(node.Aliases.Select(alias => $" :{alias}"))}",
    };
}
