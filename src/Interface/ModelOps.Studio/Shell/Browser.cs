using Microsoft.JSInterop;

namespace ModelOps.Studio.Shell;

/// <summary>What only the browser can do.</summary>
public sealed class Browser(IJSRuntime script) : IAsyncDisposable
{
    public const string ThemeCookie = "modelops-theme";
    private const long MostKept = 16 << 20; // browsers keep about 5 million characters
    private Task<IJSObjectReference>? module;

    public async Task<IJSObjectReference> ModuleAsync() =>
        await (module ??= script.InvokeAsync<IJSObjectReference>("import", "./_content/ModelOps.Studio/studio.js").AsTask()).ConfigureAwait(false);

    public async Task SetThemeAsync(bool dark) => await (await ModuleAsync().ConfigureAwait(false)).InvokeVoidAsync("setTheme", dark).ConfigureAwait(false);

    public async Task CopyAsync(string text) => await (await ModuleAsync().ConfigureAwait(false)).InvokeVoidAsync("copy", text).ConfigureAwait(false);

    /// <summary>Gives the cookie the tokens that were renewed meanwhile.</summary>
    public async Task RenewCookieAsync() => await (await ModuleAsync().ConfigureAwait(false)).InvokeVoidAsync("renewCookie").ConfigureAwait(false);

    public async Task ScrollToEndAsync(string id) => await (await ModuleAsync().ConfigureAwait(false)).InvokeVoidAsync("scrollToEnd", id).ConfigureAwait(false);

    /// <summary>Keeps a text for this tab, until somebody signs out in it.</summary>
    /// <param name="text">Null: none any longer.</param>
    /// <returns>false: the browser has no room for it.</returns>
    public async Task<bool> KeepAsync(string key, string? text) => await (await ModuleAsync().ConfigureAwait(false)).InvokeAsync<bool>("keep", key, text).ConfigureAwait(false);

    /// <param name="otherwise">What is returned if no text is kept; not empty.</param>
    public async Task<string> KeptAsync(string key, string otherwise)
    {
        // A stream, for one message of the connection is short.
        var reference = await (await ModuleAsync().ConfigureAwait(false)).InvokeAsync<IJSStreamReference>("kept", key, otherwise).ConfigureAwait(false);
        await using (reference.ConfigureAwait(false))
        {
            using var reader = new StreamReader(await reference.OpenReadStreamAsync(MostKept).ConfigureAwait(false));
            return await reader.ReadToEndAsync().ConfigureAwait(false);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (module is not { IsCompletedSuccessfully: true }) return;
        try
        {
            await (await module.ConfigureAwait(false)).DisposeAsync().ConfigureAwait(false);
        }
        catch (JSDisconnectedException)
        {
            // The page is gone, and what it held with it.
        }
    }
}
