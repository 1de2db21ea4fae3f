using System.ComponentModel.DataAnnotations;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.Json;

namespace ModelOps.Server.Configuration;

/// <summary>What may stand at one place of the configuration, read from the option records.</summary>
public abstract record ConfigNode
{
    private ConfigNode()
    {
    }

    /// <summary>A record of options.</summary>
    public sealed record Section(Type Type, IReadOnlyList<ConfigProperty> Properties) : ConfigNode;

    public sealed record Items(Type ElementType, ConfigNode Element) : ConfigNode;

    /// <summary>Named entries; the names are the user's.</summary>
    public sealed record Map(Type ElementType, ConfigNode Element) : ConfigNode;

    public sealed record Scalar(Type Type) : ConfigNode;

    /// <exception cref="InvalidOperationException">The type cannot be configured: no scalar, list, dictionary or record with a constructor without parameters.</exception>
    public static ConfigNode Of(Type declared)
    {
        var type = Nullable.GetUnderlyingType(declared) ?? declared;
        if (ConfigText.IsScalar(type)) return new Scalar(type);
        if (Closed(type, typeof(IReadOnlyDictionary<,>)) is { } map)
            return map[0] == typeof(string) ? new Map(map[1], Of(map[1])) : throw NotConfigurable(declared);
        if (Closed(type, typeof(IReadOnlyCollection<>)) is { } items) return new Items(items[0], Of(items[0]));
        if (type.GetConstructor(Type.EmptyTypes) is null) throw NotConfigurable(declared);
        return new Section(type,
            [.. type.GetProperties().Where(property => property.SetMethod is { IsPublic: true }).Select(ConfigProperty.Of)]);
    }

    private static Type[]? Closed(Type type, Type open) =>
        type.GetInterfaces().Append(type).FirstOrDefault(one => one.IsGenericType && one.GetGenericTypeDefinition() == open)?.GetGenericArguments();

    private static InvalidOperationException NotConfigurable(Type type) =>
        new($"{type} cannot be an option: use a scalar, IReadOnlyList<T>, IReadOnlyDictionary<string, T> or a record whose constructor takes nothing");
}

/// <summary>One property of an option record. <see cref="Name"/> is snake_case.</summary>
/// <param name="Secret">Marked <c>[DataType(DataType.Password)]</c>: its value is never shown.</param>
public sealed record ConfigProperty(
    PropertyInfo Property, string Name, ConfigNode Node, bool Required, bool Secret, IReadOnlyList<ValidationAttribute> Rules)
{
    public static ConfigProperty Of(PropertyInfo property) => new(
        property,
        JsonNamingPolicy.SnakeCaseLower.ConvertName(property.Name),
        ConfigNode.Of(property.PropertyType),
        property.IsDefined(typeof(RequiredMemberAttribute)),
        property.GetCustomAttribute<DataTypeAttribute>()?.DataType == DataType.Password,
        [.. property.GetCustomAttributes<ValidationAttribute>().Where(rule => rule.GetType() != typeof(DataTypeAttribute))]);
}
