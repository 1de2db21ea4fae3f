namespace ModelOps.Cli.Help;

/// <summary>What <c>modelops</c> alone says: what it is, and the first three things to do.</summary>
internal static class Welcome
{
    private const string Text =
        """
        ModelOps fine-tunes, quantizes and serves LLMs, and keeps the proof of how each was made.

        Start here:
          modelops quickstart    the whole way on a bundled sample: data, training, a signed model, a chat with it
          modelops serve         the server, for models and data of your own; the other commands talk to it
          modelops doctor        what is installed, what is missing, what to do

        modelops --help lists every command; modelops COMMAND --help shows its options and examples.
        """;

    public static int Show(TextWriter output)
    {
        output.WriteLine(Text);
        return ExitCodes.Done;
    }
}
