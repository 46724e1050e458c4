using System.Text.Json.Nodes;

namespace RegCache.Lab.Tests.Notebooks;

/// <summary>Small notebooks for tests.</summary>
internal static class NotebookFiles
{
    public static string Code(params string[] cells) => Json([.. cells.Select(cell => Cell("code", cell))]);

    public static string Json(params JsonObject[] cells) => new JsonObject
    {
        ["cells"] = new JsonArray([.. cells]),
        ["metadata"] = new JsonObject
        {
            ["kernelspec"] = new JsonObject { ["name"] = ".net-csharp", ["display_name"] = ".NET (C#)", ["language"] = "C#" },
            ["language_info"] = new JsonObject { ["name"] = "C#" },
            ["custom"] = 1,
        },
        ["nbformat"] = 4,
        ["nbformat_minor"] = 4,
    }.ToJsonString();

    public static JsonObject Cell(string kind, string source, params string[] tags)
    {
        var cell = new JsonObject
        {
            ["cell_type"] = kind,
            ["metadata"] = new JsonObject { ["tags"] = new JsonArray([.. tags.Select(tag => (JsonNode)tag)]) },
            ["source"] = source,
        };
        if (kind == "code")
        {
            cell["execution_count"] = null;
            cell["outputs"] = new JsonArray();
        }

        return cell;
    }
}
