using Microsoft.JSInterop;

namespace ModelOps.Studio.Shell;

/// <summary>What only the browser can do.</summary>
public sealed class Browser(IJSRuntime script) : IAsyncDisposable
{
    public const string ThemeCookie = "modelops-theme";
    private Task<IJSObjectReference>? module;

    public async Task<IJSObjectReference> ModuleAsync() =>
        await (module ??= script.InvokeAsync<IJSObjectReference>("import", "./_content/ModelOps.Studio/studio.js").AsTask()).ConfigureAwait(false);

    public async Task SetThemeAsync(bool dark) => await (await ModuleAsync().ConfigureAwait(false)).InvokeVoidAsync("setTheme", dark).ConfigureAwait(false);

    public async Task CopyAsync(string text) => await (await ModuleAsync().ConfigureAwait(false)).InvokeVoidAsync("copy", text).ConfigureAwait(false);

    /// <summary>Gives the cookie the tokens that were renewed meanwhile.</summary>
    public async Task RenewCookieAsync() => await (await ModuleAsync().ConfigureAwait(false)).InvokeVoidAsync("renewCookie").ConfigureAwait(false);

    public async Task ScrollToEndAsync(string id) => await (await ModuleAsync().ConfigureAwait(false)).InvokeVoidAsync("scrollToEnd", id).ConfigureAwait(false);

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
