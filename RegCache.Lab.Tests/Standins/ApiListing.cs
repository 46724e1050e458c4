using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text;

namespace RegCache.Lab.Tests.Standins;

/// <summary>
/// Lists what an assembly shows to the outside, one line a public or protected type or member, in the form of the
/// reference listings: <c>doc-id : type  {modifiers} (parameter names, defaults)</c>.
/// </summary>
internal static class ApiListing
{
    private const BindingFlags Declared =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    /// <summary>The lines of an assembly; the first line of each type is that of the type itself.</summary>
    public static IReadOnlyList<string> Of(Assembly assembly)
    {
        var types = assembly.GetTypes().Where(IsVisible).OrderBy(DocId.Name, StringComparer.Ordinal);
        return [.. types.SelectMany(OfType)];
    }

    private static IEnumerable<string> OfType(Type type)
    {
        yield return $"T:{DocId.Name(type)} : {Kind(type)}{Bases(type)}{(IsDelegate(type) ? Names(type.GetMethod("Invoke")!.GetParameters()) : "")}{Obsolete(type)}";
        if (IsDelegate(type))
        {
            yield break;
        }

        var lines = type.GetFields(Declared).Where(field => IsVisible(field) && !field.IsSpecialName).Select(Field)
            .Concat(type.GetProperties(Declared).Where(property => Accessor(property) is not null).Select(Property))
            .Concat(type.GetConstructors(Declared).Where(constructor => IsVisible(constructor) && !constructor.IsStatic).Select(Method))
            .Concat(type.GetMethods(Declared).Where(method => IsVisible(method) && IsOwn(method)).Select(Method));
        foreach (var line in lines.OrderBy(line => "FPM".IndexOf(line[0], StringComparison.Ordinal)).ThenBy(line => line, StringComparer.Ordinal))
        {
            yield return line;
        }
    }

    private static string Field(FieldInfo field)
    {
        var id = $"F:{DocId.Name(field.DeclaringType!)}.{field.Name}";
        if (field.DeclaringType!.IsEnum)
        {
            return $"{id} = {Convert.ToInt64(field.GetRawConstantValue(), CultureInfo.InvariantCulture)}";
        }

        string[] words = [Access(field), field.IsLiteral ? "const" : field.IsStatic ? "static" : "", field.IsInitOnly ? "readonly" : ""];
        var value = field.IsLiteral ? " = " + Constant(field.GetRawConstantValue(), field.FieldType) : "";
        return $"{id} : {DocId.Reference(field.FieldType)}{Braces(words)}{value}{Obsolete(field)}";
    }

    private static string Property(PropertyInfo property)
    {
        var accessor = Accessor(property)!;
        var indices = property.GetIndexParameters();
        var get = property.GetMethod is { } getter && IsVisible(getter) ? "get;" : "";
        var set = property.SetMethod is { } setter && IsVisible(setter) ? IsInit(setter) ? "init;" : "set;" : "";
        var names = indices.Length == 0 ? "" : " " + Names(indices).Trim();
        return $"P:{DocId.Name(property.DeclaringType!)}.{property.Name}{DocId.Parameters(indices)} : "
            + $"{DocId.Reference(property.PropertyType)}{Braces(Modifiers(accessor))} {{{get}{set}}}{names}{Obsolete(property)}";
    }

    private static string Method(MethodBase method)
    {
        var id = new StringBuilder($"M:{DocId.Name(method.DeclaringType!)}.{(method.IsConstructor ? "#ctor" : method.Name)}");
        if (method.IsGenericMethodDefinition)
        {
            id.Append("``").Append(method.GetGenericArguments().Length);
        }

        id.Append(DocId.Parameters(method.GetParameters()));
        if (method is MethodInfo result)
        {
            var type = DocId.Reference(result.ReturnType);
            id.Append(method.Name is "op_Implicit" or "op_Explicit" ? $"~{type} : {type}" : $" : {type}");
        }

        var extension = method.IsDefined(typeof(ExtensionAttribute)) ? " ext" : "";
        return $"{id}{Braces(Modifiers(method))}{extension}{Names(method.GetParameters())}{Obsolete(method)}";
    }

    private static string Names(ParameterInfo[] parameters) =>
        parameters.Length == 0 ? "" : $"  ({string.Join(", ", parameters.Select(Name))})";

    private static string Name(ParameterInfo parameter)
    {
        var isParams = parameter.IsDefined(typeof(ParamArrayAttribute)) || parameter.IsDefined(typeof(ParamCollectionAttribute));
        var value = parameter.HasDefaultValue ? "=" + Constant(parameter.RawDefaultValue, parameter.ParameterType) : "";
        return $"{(isParams ? "params " : "")}{(parameter.IsOut ? "out " : "")}{parameter.Name}{value}";
    }

    private static string Constant(object? value, Type type)
    {
        var plain = Nullable.GetUnderlyingType(type) ?? type;
        return value switch
        {
            null when type.IsValueType && plain == type => "default",
            null => "null",
            _ when plain.IsEnum => $"{plain.Name}.{Enum.ToObject(plain, value)}",
            string text => $"\"{text}\"",
            char letter => $"'{letter}'",
            bool truth => truth ? "true" : "false",
            float number => number.ToString(CultureInfo.InvariantCulture) + "f",
            IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
            _ => throw new NotSupportedException($"A default of type {type} has no form in the listing."),
        };
    }

    private static string Kind(Type type) =>
        type.IsEnum ? $"enum {Enum.GetUnderlyingType(type).Name}"
        : IsDelegate(type) ? $"delegate {DocId.Reference(type.GetMethod("Invoke")!.ReturnType)}"
        : type.IsInterface ? "interface"
        : type.IsValueType ? "struct"
        : type.IsAbstract && type.IsSealed ? "static class"
        : type.IsAbstract ? "abstract class"
        : type.IsSealed ? "sealed class"
        : "class";

    private static string Bases(Type type)
    {
        if (type.IsEnum || IsDelegate(type))
        {
            return "";
        }

        var inherited = type.BaseType?.GetInterfaces() ?? [];
        var interfaces = type.GetInterfaces().Except(inherited).Where(IsVisible).Select(DocId.Reference).Order(StringComparer.Ordinal);
        string[] parent = type.BaseType is { } b && b != typeof(object) && b != typeof(ValueType) ? [DocId.Reference(b)] : [];
        string[] all = [.. parent, .. interfaces];
        return all.Length == 0 ? "" : $" < {string.Join(", ", all)}";
    }

    private static string[] Modifiers(MethodBase method)
    {
        var isOverride = method is MethodInfo info && info.IsVirtual && info.GetBaseDefinition() != info;
        var isFree = method.IsVirtual && !method.IsFinal && !method.DeclaringType!.IsInterface;
        return
        [
            Access(method),
            method.IsStatic ? "static" : "",
            isOverride ? "override" : isFree ? method.IsAbstract ? "abstract" : "virtual" : "",
        ];
    }

    private static string Braces(IEnumerable<string> words)
    {
        var text = string.Join(' ', words.Where(word => word.Length > 0));
        return text.Length == 0 ? "" : $"  {{{text}}}";
    }

    // The compiler marks every ref struct as obsolete, to keep old compilers away from it.
    private static string Obsolete(MemberInfo member) =>
        member.IsDefined(typeof(ObsoleteAttribute), inherit: false) && member is not Type { IsByRefLike: true } ? " obsolete" : "";

    private static bool IsDelegate(Type type) => type.BaseType == typeof(MulticastDelegate);

    private static bool IsInit(MethodInfo setter) => setter.ReturnParameter.GetRequiredCustomModifiers().Contains(typeof(IsExternalInit));

    private static MethodInfo? Accessor(PropertyInfo property) => property.GetAccessors(nonPublic: true).FirstOrDefault(IsVisible);

    private static bool IsOwn(MethodInfo method) => !method.IsSpecialName || method.Name.StartsWith("op_", StringComparison.Ordinal);

    private static bool IsVisible(Type type) =>
        type.IsNested ? (type.IsNestedPublic || type.IsNestedFamily || type.IsNestedFamORAssem) && IsVisible(type.DeclaringType!) : type.IsPublic;

    private static bool IsVisible(MethodBase method) => method.IsPublic || method.IsFamily || method.IsFamilyOrAssembly;

    private static bool IsVisible(FieldInfo field) => field.IsPublic || field.IsFamily || field.IsFamilyOrAssembly;

    private static string Access(MethodBase method) => method.IsPublic ? "" : "protected";

    private static string Access(FieldInfo field) => field.IsPublic ? "" : "protected";
}
