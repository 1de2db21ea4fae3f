namespace ModelOps.Registry;

/// <summary>What a user's name, role and password must be; pure.</summary>
public static class UserRules
{
    public const int ShortestPassword = 12;
    /// <summary>Beyond it a password only costs time to hash.</summary>
    public const int LongestPassword = 256;
    private const int longestName = 64;

    /// <returns>Every fault, each saying what to do.</returns>
    public static IReadOnlyList<string> Check(string name, string role)
    {
        List<string> errors = [];
        if (name.Length is 0 or > longestName || !char.IsAsciiLetterOrDigit(name[0]) || !name.All(IsOfName))
            errors.Add($"The name '{name}' is not valid. Use 1 to {longestName} letters, digits, '.', '_' or '-', and begin with a letter or digit.");
        if (!Roles.All.Contains(role))
            errors.Add($"'{role}' is not a role. Choose one of: {string.Join(", ", Roles.All)}.");
        return errors;
    }

    /// <inheritdoc cref="Check"/>
    public static IReadOnlyList<string> CheckPassword(string name, string password)
    {
        List<string> errors = [];
        if (password.Length < ShortestPassword)
            errors.Add($"The password has {password.Length} characters. Use at least {ShortestPassword}.");
        if (password.Length > LongestPassword)
            errors.Add($"The password has {password.Length} characters. Use at most {LongestPassword}.");
        if (name.Length > 0 && password.Contains(name, StringComparison.OrdinalIgnoreCase) && password.Length < name.Length + ShortestPassword)
            errors.Add("The password is little more than the name. Choose another.");
        if (password.Length > 0 && password.Distinct().Count() < 5)
            errors.Add("The password repeats fewer than 5 different characters. Choose another.");
        return errors;
    }

    private static bool IsOfName(char c) => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-';
}
