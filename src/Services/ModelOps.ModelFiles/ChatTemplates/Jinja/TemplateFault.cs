using System.Diagnostics.CodeAnalysis;

namespace ModelOps.ModelFiles.ChatTemplates.Jinja;

/// <summary>A failure inside the engine; it leaves as <see cref="ChatTemplateException"/>, which adds the place.</summary>
[SuppressMessage("Design", "CA1064", Justification = "Never leaves the engine.")]
internal class TemplateFault(string message) : Exception(message);

/// <summary>The template called <c>raise_exception</c>.</summary>
[SuppressMessage("Design", "CA1064", Justification = "Never leaves the engine.")]
internal sealed class RaisedFault(string message) : TemplateFault(message);
