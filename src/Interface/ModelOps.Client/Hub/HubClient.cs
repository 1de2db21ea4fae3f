using System.Net;
using System.Net.Http.Headers;
using System.Text.Json;

namespace ModelOps.Client;

/// <summary>Downloads models from the Hugging Face hub. A proxy is taken from HTTPS_PROXY and its kin, as .NET does.</summary>
public sealed class HubClient(HubOptions options) : IDisposable
{
    private const int MaxRedirects = 5;

    private readonly HttpClient http = new(new SocketsHttpHandler { AllowAutoRedirect = false, ConnectTimeout = options.Silence })
    {
        Timeout = Timeout.InfiniteTimeSpan, // silence is what ends a request, not its length
    };

    /// <exception cref="ModelOpsException">There is no such model or revision, it is not allowed, or the hub cannot be reached.</exception>
    public async Task<HubSnapshot> FindAsync(HubReference reference, CancellationToken cancellationToken = default)
    {
        var address = Address($"api/models/{reference.Repository}/revision/{Uri.EscapeDataString(reference.Revision)}?blobs=true");
        return await RetryAsync(reference.ToString(), () => 0, async () =>
        {
            using var response = await SendAsync(address, from: 0, cancellationToken).ConfigureAwait(false);
            if (!response.IsSuccessStatusCode) throw HubProblems.Of(response, reference.ToString(), options) as Exception ?? Failed(response);
            var body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
            await using (body.ConfigureAwait(false))
            {
                var info = await JsonSerializer.DeserializeAsync(body, HubJson.Default.HubModelInfo, cancellationToken).ConfigureAwait(false);
                return HubSnapshot.Of(reference, info ?? new HubModelInfo());
            }
        }, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Downloads what is not there yet; a file stands under its name only once its digest is right.</summary>
    /// <param name="folder">Created if missing. What an earlier, broken download left there is gone on with.</param>
    /// <exception cref="ModelOpsException">The hub cannot be reached, refuses, or sent other bytes than it announced.</exception>
    /// <exception cref="IOException">The folder cannot be written.</exception>
    public async Task DownloadAsync(HubSnapshot snapshot, string folder, IProgress<UploadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        Directory.CreateDirectory(folder);
        var before = 0L;
        foreach (var file in snapshot.Files)
        {
            var target = Path.Combine(folder, file.Path);
            var partial = target + ".partial";
            if (!File.Exists(target) || await HubDigest.FaultAsync(target, file, cancellationToken).ConfigureAwait(false) is not null)
            {
                await FetchAsync(snapshot, file, partial, progress.Within(before, snapshot.Size), cancellationToken).ConfigureAwait(false);
                if (await HubDigest.FaultAsync(partial, file, cancellationToken).ConfigureAwait(false) is { } fault)
                {
                    File.Delete(partial);
                    throw HubProblems.Of(ProblemTypes.VerificationFailed, "Verification failed", $"{file.Path}: {fault}. It was deleted: pull again.");
                }
                File.Move(partial, target, overwrite: true);
            }
            before += file.Size;
            progress?.Report(new UploadProgress(file.Path, before, snapshot.Size));
        }
    }

    public void Dispose() => http.Dispose();

    private async Task FetchAsync(HubSnapshot snapshot, HubFile file, string partial, IProgress<UploadProgress>? progress, CancellationToken cancellationToken)
    {
        var address = Address($"{snapshot.Repository}/resolve/{snapshot.Commit}/{Uri.EscapeDataString(file.Path)}");
        var what = $"{file.Path} of hf:{snapshot.Repository}@{snapshot.Commit}";
        await RetryAsync(what, () => LengthOf(partial), async () =>
        {
            var have = LengthOf(partial);
            if (have > file.Size) have = 0; // of another try: the response's status decides how it is opened
            if (have == file.Size && File.Exists(partial)) return true;
            using var response = await SendAsync(address, have, cancellationToken).ConfigureAwait(false);
            if (response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable)
            {
                File.Delete(partial);
                throw Failed(response);
            }
            if (!response.IsSuccessStatusCode) throw HubProblems.Of(response, what, options) as Exception ?? Failed(response);
            var goesOn = response.StatusCode == HttpStatusCode.PartialContent && response.Content.Headers.ContentRange?.From == have;
            if (response.StatusCode == HttpStatusCode.PartialContent && !goesOn) throw Failed(response);
            await AppendAsync(response, file, partial, goesOn, progress, cancellationToken).ConfigureAwait(false);
            return LengthOf(partial) >= file.Size ? true : throw new HttpRequestException("the connection ended early");
        }, cancellationToken).ConfigureAwait(false);
    }

    private async Task AppendAsync(
        HttpResponseMessage response, HubFile file, string partial, bool goesOn, IProgress<UploadProgress>? progress, CancellationToken cancellationToken)
    {
        var body = await response.Content.ReadAsStreamAsync(cancellationToken).ConfigureAwait(false);
        await using var bodyScope = body.ConfigureAwait(false);
        var output = new FileStream(partial, goesOn ? FileMode.Append : FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0, useAsync: true);
        await using var outputScope = output.ConfigureAwait(false);
        var buffer = new byte[1 << 18];
        while (output.Position <= file.Size && await ReadAsync(body, buffer, cancellationToken).ConfigureAwait(false) is > 0 and var count)
        {
            await output.WriteAsync(buffer.AsMemory(0, count), cancellationToken).ConfigureAwait(false);
            progress?.Report(new UploadProgress(file.Path, output.Position, file.Size));
        }
        RandomAccess.FlushToDisk(output.SafeFileHandle);
    }

    /// <summary>A broken or silent connection becomes a <see cref="HttpRequestException"/>; a full disk stays an IOException.</summary>
    private async Task<int> ReadAsync(Stream body, byte[] buffer, CancellationToken cancellationToken)
    {
        using var silence = new CancellationTokenSource(options.Silence, options.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(silence.Token, cancellationToken);
        try
        {
            return await body.ReadAsync(buffer, either.Token).ConfigureAwait(false);
        }
        catch (IOException broken)
        {
            throw new HttpRequestException(broken.Message, broken);
        }
        catch (OperationCanceledException silent) when (!cancellationToken.IsCancellationRequested)
        {
            throw new HttpRequestException($"nothing came for {options.Silence.TotalSeconds:0} s", silent);
        }
    }

    /// <param name="position">How far it is: a failure after a step forward is a first failure.</param>
    private async Task<T> RetryAsync<T>(string what, Func<long> position, Func<Task<T>> work, CancellationToken cancellationToken)
    {
        var (failures, reached) = (0, position());
        while (true)
        {
            try
            {
                return await work().ConfigureAwait(false);
            }
            catch (Exception broken) when (broken is HttpRequestException or JsonException)
            {
                failures = position() > reached ? 1 : failures + 1;
                reached = position();
                if (failures >= options.Attempts) throw HubProblems.Unreachable(options, what, broken);
                await Task.Delay(options.Delay * Math.Pow(2, failures - 1), options.Time, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    /// <summary>Follows redirects itself, so that the token goes to the endpoint alone.</summary>
    private async Task<HttpResponseMessage> SendAsync(Uri address, long from, CancellationToken cancellationToken)
    {
        using var silence = new CancellationTokenSource(options.Silence, options.Time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(silence.Token, cancellationToken);
        for (var hop = 0; hop <= MaxRedirects; hop++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, address);
            request.Headers.UserAgent.Add(new ProductInfoHeaderValue("modelops", null));
            if (from > 0) request.Headers.Range = new RangeHeaderValue(from, to: null);
            if (options.Token is not null && MaySeeToken(address)) request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", options.Token);
            var response = await AnswerAsync(request, either.Token, cancellationToken).ConfigureAwait(false);
            if ((int)response.StatusCode is not (301 or 302 or 303 or 307 or 308) || response.Headers.Location is not { } location) return response;
            response.Dispose();
            var next = new Uri(address, location);
            if (next.Scheme != Uri.UriSchemeHttps && next.Scheme != address.Scheme)
                throw HubProblems.Of(ProblemTypes.Unavailable, "Unsafe redirect", $"{address.GetLeftPart(UriPartial.Path)} redirects to {next.GetLeftPart(UriPartial.Path)}, which is not encrypted.");
            address = next;
        }
        throw HubProblems.Of(ProblemTypes.Unavailable, "Too many redirects", $"{address.GetLeftPart(UriPartial.Path)} redirects more than {MaxRedirects} times.");
    }

    private async Task<HttpResponseMessage> AnswerAsync(HttpRequestMessage request, CancellationToken either, CancellationToken cancellationToken)
    {
        try
        {
            return await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, either).ConfigureAwait(false);
        }
        catch (OperationCanceledException silent) when (!cancellationToken.IsCancellationRequested)
        {
            throw new HttpRequestException($"no answer for {options.Silence.TotalSeconds:0} s", silent);
        }
    }

    private bool MaySeeToken(Uri address) =>
        Uri.Compare(address, options.Endpoint, UriComponents.SchemeAndServer, UriFormat.Unescaped, StringComparison.OrdinalIgnoreCase) == 0
        && (address.Scheme == Uri.UriSchemeHttps || address.IsLoopback);

    private Uri Address(string path) => new($"{options.Endpoint.AbsoluteUri.TrimEnd('/')}/{path}");

    private static HttpRequestException Failed(HttpResponseMessage response) => new($"the hub answers {(int)response.StatusCode}");

    private static long LengthOf(string path) => File.Exists(path) ? new FileInfo(path).Length : 0;
}
