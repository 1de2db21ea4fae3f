namespace ModelOps.Registry;

public static class Roles
{
    public const string Viewer = "viewer";
    public const string Engineer = "engineer";
    public const string Approver = "approver";
    public const string Admin = "admin";
    public const string Service = "service";

    public static IReadOnlyList<string> All { get; } = [Viewer, Engineer, Approver, Admin, Service];
}
