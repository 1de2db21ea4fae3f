using System.Collections.Concurrent;

namespace ModelOps.Server.Security;

/// <summary>
/// Slows down who guesses passwords. After a few wrong ones each further attempt waits, twice as long as the one before, up to a minute:
/// soon for one user from one address, later for a user from anywhere and for an address with any users, so that guessing at somebody's
/// password from elsewhere does not soon lock them out.
/// </summary>
public sealed class SignInThrottle(TimeProvider time)
{
    private const int freeForPair = 3;
    private const int freeForUser = 20;
    private const int freeForAddress = 20;
    private const int most = 100_000;
    private static readonly TimeSpan firstWait = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan longestWait = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan forgottenAfter = TimeSpan.FromMinutes(15);
    private readonly ConcurrentDictionary<string, Attempts> attempts = new(StringComparer.Ordinal);
    private readonly Lock gate = new();

    /// <summary>Counts the attempt as wrong beforehand, so that many at once gain nothing; <see cref="Succeeded"/> takes it back.</summary>
    /// <returns>How long to wait first; zero: go on.</returns>
    public TimeSpan Begin(string user, string address)
    {
        var now = time.GetUtcNow();
        var counted = Keys(user, address);
        lock (gate)
        {
            var wait = counted.Max(key => attempts.TryGetValue(key.Name, out var before) ? before.NotBefore - now : TimeSpan.Zero);
            if (wait > TimeSpan.Zero) return wait;
            if (attempts.Count > most) Forget(now);
            foreach (var (name, free) in counted)
            {
                var failures = attempts.TryGetValue(name, out var before) && now - before.Last < forgottenAfter ? before.Failures + 1 : 1;
                attempts[name] = new Attempts(failures, now, now + WaitAfter(failures - free));
            }
            return TimeSpan.Zero;
        }
    }

    /// <summary>The password was right. The address keeps its count but for this attempt: an account of one's own clears nothing.</summary>
    public void Succeeded(string user, string address)
    {
        lock (gate)
        {
            var keys = Keys(user, address);
            attempts.TryRemove(keys[0].Name, out _);
            attempts.TryRemove(keys[1].Name, out _);
            if (attempts.TryGetValue(keys[2].Name, out var of)) attempts[keys[2].Name] = new Attempts(of.Failures - 1, of.Last, of.Last);
        }
    }

    private static (string Name, int Free)[] Keys(string user, string address)
    {
        var name = user.ToUpperInvariant();
        return [($"{name}\n{address}", freeForPair), ($"{name}\n", freeForUser), ($"\n{address}", freeForAddress)];
    }

    private static TimeSpan WaitAfter(int excess)
    {
        if (excess < 0) return TimeSpan.Zero;
        var wait = firstWait * Math.Pow(2, Math.Min(excess, 10));
        return wait < longestWait ? wait : longestWait;
    }

    private void Forget(DateTimeOffset now)
    {
        foreach (var (name, of) in attempts)
        {
            if (now - of.Last >= forgottenAfter) attempts.TryRemove(name, out _);
        }
        if (attempts.Count > most) attempts.Clear(); // more addresses than memory for them: the limit per address has failed anyway
    }

    private sealed record Attempts(int Failures, DateTimeOffset Last, DateTimeOffset NotBefore);
}
