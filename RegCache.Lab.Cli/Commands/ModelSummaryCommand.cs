using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Placement;
using RegCache.Lab.Reports;
using Spectre.Console;

namespace RegCache.Lab.Cli.Commands;

/// <summary>A ViT classifier module by module: shapes, parameters, tokens by block, multiply-accumulates, memory.</summary>
internal sealed class ModelSummaryCommand : KitCommand
{
    private readonly Argument<string?> _model = new("MODEL")
    {
        Description = "A classifier's folder or weight file, or a configuration (JSON); none: the sizes that the options give.",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private readonly Option<string> _size = new("--size")
    {
        Description = $"Size of the model where none is named: {string.Join(", ", PlacementConfig.Presets)}. [default: small]",
        HelpName = string.Join('|', PlacementConfig.Presets),
        DefaultValueFactory = _ => "small",
    };

    private readonly Option<int?> _registers = LateTokenOptions.Aliased(OptionOf.OptionalNumber("--num-reg", "Register tokens. [default: 4]", 0, 4096), "--num_reg");
    private readonly Option<int?> _classBlock = LateTokenOptions.Aliased(OptionOf.OptionalNumber("--cls-pos", "The class token enters before this block. [default: 0]", 0, 4096), "--cls_pos");
    private readonly Option<int?> _registerBlock = LateTokenOptions.Aliased(OptionOf.OptionalNumber("--reg-pos", "The registers enter before this block. [default: 0]", 0, 4096), "--reg_pos");
    private readonly Option<int?> _classes = LateTokenOptions.Aliased(OptionOf.OptionalNumber("--classes", "Classes. [default: 1000]", 0, 1 << 24), "--num_classes");
    private readonly Option<string?> _imageSize = new("--img-size", "--img_size") { Description = "Input size: PIXELS or HEIGHTxWIDTH. [default: 224]", HelpName = "SIZE" };
    private readonly Option<string?> _patchSize = new("--patch-size", "--patch_size") { Description = "Patch size: PIXELS or HEIGHTxWIDTH. [default: 16]", HelpName = "SIZE" };
    private readonly Option<string?> _csv = new("--csv") { Description = "Write the modules as a table, too.", HelpName = "FILE" };

    /// <inheritdoc/>
    public override string Path => "model summary";

    /// <inheritdoc/>
    public override string Description => "Lists a ViT classifier module by module, with shapes, parameters, tokens by block, multiply-accumulates and memory.";

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        command.Add(_model);
        foreach (var option in new Option[] { _size, _registers, _classBlock, _registerBlock, _classes, _imageSize, _patchSize, _csv })
        {
            command.Add(option);
        }
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var arguments = context.Arguments;
        using var model = Load(context);
        if (model is not null && new Option[] { _registers, _classes, _imageSize, _patchSize }.FirstOrDefault(option => arguments.GetResult(option) is { Implicit: false }) is { } fixedByModel)
        {
            throw new UserException($"{fixedByModel.Name} is for a model that is not made yet; {arguments.GetValue(_model)} has its own.");
        }

        var summary = ModelSummary.Of(Configure(arguments, model?.Config ?? Read(arguments)));
        if (arguments.GetValue(_csv) is { } csv)
        {
            CsvTable.Write(csv, summary.Rows);
        }

        var table = new Table().AddColumns("module", "kind", "output", "parameters");
        table.Columns[3].RightAligned();
        int? current = null;
        foreach (var row in summary.Rows)
        {
            if (row.Block is { } block && block != current)
            {
                var parameters = summary.Rows.Where(other => other.Block == block).Sum(other => other.Parameters);
                table.AddRow($"[bold]block {block}[/]", "", InWords(summary.Tokens[block]), $"[bold]{parameters:N0}[/]");
            }

            current = row.Block;
            table.AddRow(Markup.Escape(row.Name), row.Kind, Markup.Escape(row.Output), $"{row.Parameters:N0}");
        }

        context.Console.Write(table);
        PrintFooter(context.Output, summary);
        return ExitCode.Success;
    }

    private static void PrintFooter(TextWriter output, ModelSummary summary)
    {
        static string Megabytes(long bytes) => FormattableString.Invariant($"{bytes / (double)(1 << 20):0.00} MB");
        output.WriteLine($"tokens by block (class/patches/registers): {string.Join(", ", summary.Tokens.Select(row => $"{row.Block}: {row.Class}/{row.Patches}/{row.Registers}"))}");
        output.WriteLine($"parameters           : {summary.Total:N0} ({summary.Trainable:N0} trainable, {summary.Total - summary.Trainable:N0} frozen)");
        output.WriteLine(FormattableString.Invariant($"multiply-accumulates : {summary.Macs.Total / 1e9:0.000} G an image"));
        output.WriteLine($"input                : {Megabytes(summary.InputBytes)} an image");
        output.WriteLine($"forward and backward : {Megabytes(summary.PassBytes)} an image");
        output.WriteLine($"memory of parameters : {Megabytes(summary.ParameterBytes)}");
        output.WriteLine($"together             : {Megabytes(summary.InputBytes + summary.PassBytes + summary.ParameterBytes)}");
    }

    private static string InWords(TokenRow row) => FormattableString.Invariant(
        $"{row.Class + row.Patches + row.Registers} tokens, {row.Macs / 1e6:0.0} M multiply-accumulates");

    private DynamicVit? Load(CommandContext context)
    {
        if (context.Arguments.GetValue(_model) is not { } path || path.EndsWith(".json", StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        var assumptions = new List<string>();
        var model = DynamicVit.Load(path, new()
        {
            ClassBlock = context.Arguments.GetValue(_classBlock),
            RegisterBlock = context.Arguments.GetValue(_registerBlock),
            Assumptions = assumptions,
        });
        assumptions.ForEach(context.Progress.Message);
        return model;
    }

    private PlacementConfig Read(ParseResult arguments) =>
        arguments.GetValue(_model) is { } json ? PlacementConfig.Load(json) : PlacementConfig.Preset(arguments.GetRequiredValue(_size));

    private PlacementConfig Configure(ParseResult arguments, PlacementConfig config) => config with
    {
        Registers = arguments.GetValue(_registers) ?? config.Registers,
        ClassBlock = arguments.GetValue(_classBlock) ?? config.ClassBlock,
        RegisterBlock = arguments.GetValue(_registerBlock) ?? config.RegisterBlock,
        Classes = arguments.GetValue(_classes) ?? config.Classes,
        ImageSize = arguments.GetValue(_imageSize) is { } image ? LateTokenOptions.ParseSize("--img-size", image) : config.ImageSize,
        PatchSize = arguments.GetValue(_patchSize) is { } patch ? LateTokenOptions.ParseSize("--patch-size", patch) : config.PatchSize,
    };
}
