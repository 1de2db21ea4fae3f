using Microsoft.AspNetCore.Identity;
using ModelOps.Registry;

namespace ModelOps.Server.Security;

/// <summary>Passwords hashed by the framework: PBKDF2 with a salt, whose cost is written into the hash.</summary>
public sealed class Passwords
{
    private readonly PasswordHasher<Passwords> hasher = new();
    private readonly string nobodys;

    public Passwords() => nobodys = Hash("no user has this password");

    public string Hash(string password) => hasher.HashPassword(this, password);

    /// <summary>The same work whether or not there is such a user.</summary>
    public PasswordCheck Check(UserRow? user, string password)
    {
        var result = hasher.VerifyHashedPassword(this, user?.PasswordHash ?? nobodys, password);
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
