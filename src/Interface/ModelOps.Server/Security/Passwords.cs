using Microsoft.AspNetCore.Identity;
using ModelOps.Registry;

namespace ModelOps.Server.Security;

/// <summary>Passwords hashed by the framework: PBKDF2 with a salt, whose cost is written into the hash.</summary>
public sealed class Passwords
{
    private readonly PasswordHasher<Passwords> hasher = new();
    private readonly Lazy<string> nobodys; // a hash takes a tenth of a second, which no start waits for

    public Passwords() => nobodys = new(() => Hash("no user has this password"));

    public string Hash(string password) => hasher.HashPassword(this, password);

    /// <summary>The same work whether or not there is such a user.</summary>
    public PasswordCheck Check(UserRow? user, string password)
    {
        var other = nobodys.Value; // made for the first check whoever it is for
        var result = hasher.VerifyHashedPassword(this, user?.PasswordHash ?? other, password);
        if (user?.PasswordHash is null) return PasswordCheck.Wrong;
        return result switch
        {
            PasswordVerificationResult.Success => PasswordCheck.Right,
            PasswordVerificationResult.SuccessRehashNeeded => PasswordCheck.RightButOutdated,
            _ => PasswordCheck.Wrong,
        };
    }
}

public enum PasswordCheck
{
    Wrong,
    Right,
    /// <summary>Hash it again: hashes have become more expensive since.</summary>
    RightButOutdated,
}
