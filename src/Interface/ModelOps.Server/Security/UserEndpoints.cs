using ModelOps.Client;
using ModelOps.Registry;
using ModelOps.Server.Hosting;

namespace ModelOps.Server.Security;

public static class UserEndpoints
{
    public static void MapUsers(this IEndpointRouteBuilder api)
    {
        var users = api.MapGroup("/users").WithTags("users");
        users.MapGet("/", async (Users store, CancellationToken cancellationToken) =>
            new Page<User>([.. (await store.ListAsync(cancellationToken)).Select(ToWire)]))
            .WithName("listUsers").WithSummary("Lists users.");
        users.MapPost("/", CreateAsync)
            .WithName("createUser").WithSummary("Adds a user.").Produces<User>(StatusCodes.Status201Created);
        users.MapGet("/{name}", async (string name, Users store, CancellationToken cancellationToken) =>
            await store.FindAsync(name, cancellationToken) is { } user ? Results.Ok(ToWire(user)) : NoSuchUser(name))
            .WithName("getUser").WithSummary("Tells of a user.").Produces<User>();
        users.MapPost("/{name}", UpdateAsync)
            .WithName("updateUser").WithSummary("Gives a user another role, or disables or enables it.").Produces<User>();
        users.MapPost("/{name}/password", ResetPasswordAsync)
            .WithName("resetPassword").WithSummary("Sets the password of a user and ends their sessions.").Produces<User>();
        users.MapDelete("/{name}", async (string name, Users store, HttpContext context, CancellationToken cancellationToken) =>
            Answer(await store.RemoveAsync(name, context.Principal().Name, cancellationToken), _ => Results.NoContent()))
            .WithName("removeUser").WithSummary("Removes a user and their keys; what they made stays.").Produces(StatusCodes.Status204NoContent);
    }

    public static IResult NoSuchUser(string name) => Problems.NotFound($"no user {name}; GET /api/v1/users lists them");

    public static async Task<IResult> SetPasswordAsync(
        string name, string password, Users users, Passwords passwords, ServerHome home, HttpContext context, CancellationToken cancellationToken)
    {
        var change = await users.SetPasswordAsync(name, passwords.Hash(password), context.Principal().Name, cancellationToken);
        if (change is UserChange.Done { User.Name: LocalCredentials.FirstUser })
            await LocalCredentials.ForgetPasswordAsync(home, cancellationToken);
        return Answer(change, user => Results.Ok(ToWire(user)));
    }

    private static async Task<IResult> CreateAsync(
        CreateUser create, Users users, Passwords passwords, HttpContext context, CancellationToken cancellationToken)
    {
        List<string> errors =
        [
            .. UserRules.Check(create.Name, create.Role),
            .. create.Password is null ? [] : UserRules.CheckPassword(create.Name, create.Password),
        ];
        if (errors.Count > 0) return Problems.Invalid(errors);
        var hash = create.Password is null ? null : passwords.Hash(create.Password);
        return Answer(
            await users.AddAsync(create.Name, create.Role, hash, context.Principal().Name, cancellationToken),
            user => Results.Created($"/api/v1/users/{user.Name}", ToWire(user)));
    }

    private static async Task<IResult> UpdateAsync(
        string name, UpdateUser update, Users users, HttpContext context, CancellationToken cancellationToken)
    {
        if (update is { Role: null, Disabled: null }) return Problems.Invalid("nothing to change: give role or disabled");
        if (update is { Role: not null, Disabled: not null }) return Problems.Invalid("one change at a time: give role or disabled");
        var by = context.Principal().Name;
        var change = update switch
        {
            { Role: { } role } => await users.SetRoleAsync(name, role, by, cancellationToken),
            { Disabled: true } => await users.DisableAsync(name, by, cancellationToken),
            _ => await users.EnableAsync(name, by, cancellationToken),
        };
        return Answer(change, user => Results.Ok(ToWire(user)));
    }

    private static async Task<IResult> ResetPasswordAsync(
        string name, SetPassword set, Users users, Passwords passwords, ServerHome home, HttpContext context, CancellationToken cancellationToken) =>
        UserRules.CheckPassword(name, set.Password) is { Count: > 0 } errors
            ? Problems.Invalid(errors)
            : await SetPasswordAsync(name, set.Password, users, passwords, home, context, cancellationToken);

    private static IResult Answer(UserChange change, Func<UserRow, IResult> done) => change switch
    {
        UserChange.Done changed => done(changed.User),
        UserChange.NotFound missing => NoSuchUser(missing.Name),
        UserChange.Conflict conflict => Problems.Conflict(conflict.Reason),
        UserChange.Invalid invalid => Problems.Invalid(invalid.Errors),
        var other => throw new InvalidOperationException($"unknown outcome {other}"),
    };

    private static User ToWire(UserRow row) => new()
    {
        Name = row.Name,
        Role = row.Role,
        CreatedAt = row.CreatedAt,
        HasPassword = row.PasswordHash is not null,
        DisabledAt = row.DisabledAt,
    };
}
