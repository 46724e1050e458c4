using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Data;
using RegCache.Lab.Data.Images;
using RegCache.Lab.Evaluation;
using RegCache.Lab.Notebooks.Pictures;
using RegCache.Lab.Placement;
using TorchSharp;

namespace RegCache.Lab.Cli.Commands;

/// <summary>Where the class token and the registers of a classifier look, as a PDF.</summary>
internal sealed class AttentionCommand : KitCommand
{
    private readonly LateTokenOptions _model = new();

    private readonly Option<int> _layer = LateTokenOptions.Aliased(
        new Option<int>("--layer") { Description = "The layer, from 0. [default: 5]", HelpName = "N", DefaultValueFactory = _ => 5 }, "--layer_num", "--layer-num");

    private readonly Option<string?> _image = new("--image", "--image_path", "--image-path") { Description = "An image file.", HelpName = "FILE" };

    private readonly Option<int?> _index = LateTokenOptions.Aliased(
        new Option<int?>("--index") { Description = "Instead of a file, an image of a set (--data), from 0.", HelpName = "N" }, "--image_index", "--image-index");

    private readonly Option<string?> _data = new("--data", "--dataset", "--data-path")
    {
        Description = $"The set that --index counts in: {ImageSetFormats.AddressHelp}.",
        HelpName = "SET",
    };

    private readonly Option<WantedTokens> _tokens = OptionOf.Choice(
        "--tokens", "Whose attention to draw.", WantedTokens.Both, ("both", WantedTokens.Both), ("cls", WantedTokens.Class), ("reg", WantedTokens.Registers));

    private readonly Option<string> _output = new("--out", "--output_dir", "--output-dir")
    {
        Description = "Folder of the PDF; it is created.",
        HelpName = "FOLDER",
        Required = true,
    };

    private readonly Option<ComputeDevice> _device = OptionOf.Device();
    private readonly DecodingOption _decoding = new();

    /// <inheritdoc/>
    public override string Path => "attention";

    /// <inheritdoc/>
    public override string Description => "Draws where the class token and every register of a ViT classifier look, head by head: a PDF with a page a token.";

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        _model.AddTo(command);
        command.AddGroup(OptionGroups.Data, [_image, _data, _index, .. _decoding.All]);
        command.AddGroup(OptionGroups.Results, _layer, _tokens, _output);
        command.AddGroup(OptionGroups.Running, _device);
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var arguments = context.Arguments;
        var (layer, wanted) = (arguments.GetValue(_layer), arguments.GetValue(_tokens));
        var assumptions = new List<string>();
        using var model = DynamicVit.Load(
            _model.ReadPath(arguments), _model.ReadModel(arguments) with { Device = arguments.GetValue(_device).Find(), Assumptions = assumptions });
        assumptions.ForEach(context.Progress.Message);
        TokenMaps.Require(model.Config, layer, wanted);
        using var chosen = Choose(context);
        var preprocess = EvaluationTransform.Of(model.Config.ImageSize, _model.ReadCropRatio(arguments));
        using var scope = torch.NewDisposeScope();
        var image = Read(chosen, preprocess, context.Cancellation);
        var maps = TokenMaps.Measure(model, image, layer, wanted);
        var pdf = new AttentionPdf(model.Config, layer);
        var path = System.IO.Path.Combine(arguments.GetRequiredValue(_output), pdf.FileName(chosen.Key));
        pdf.Write(path, image, preprocess, chosen.Name, maps);
        foreach (var map in maps)
        {
            context.Output.WriteLine($"{map.Name}: {map.Heads.Average(head => head.Sum()):0.000} of its attention goes to patches, as a mean over {map.Heads.Count} heads");
        }

        context.Output.WriteLine($"written: {path} ({maps.Count} pages)");
        return ExitCode.Success;
    }

    private ChosenImage Choose(CommandContext context)
    {
        var arguments = context.Arguments;
        var (file, index, data, decoding) = (arguments.GetValue(_image), arguments.GetValue(_index), arguments.GetValue(_data), _decoding.Read(arguments));
        if ((file is null) == (index is null))
        {
            throw new UserException("Give one image: a file (--image FILE), or the index of one in a set (--data SET --index N).");
        }

        if (file is not null)
        {
            return new(NamedImages.Open([file], decoding: decoding, cancellation: context.Cancellation), 0, System.IO.Path.GetFileNameWithoutExtension(file), System.IO.Path.GetFileName(file));
        }

        var set = ImageSetFormats.Open(
            data ?? throw new UserException($"--index {index} needs the set that it counts in; give --data SET."),
            new(Cancellation: context.Cancellation) { Decoding = decoding, Progress = context.Progress });
        if (index < 0 || index >= set.Count)
        {
            using (set)
            {
                throw new UserException($"--index {index} is outside the set {data}, which has the images 0 to {set.Count - 1}.");
            }
        }

        return new(set, index!.Value, $"{index}", set.Labels.Count > 0 ? set.ClassNames[set.Labels[index.Value]] : System.IO.Path.GetFileName(set.Name(index.Value)));
    }

    private static torch.Tensor Read(ChosenImage chosen, PreprocessOptions preprocess, CancellationToken cancellation)
    {
        var reader = new ImageBatchReader(chosen.Images, new(preprocess));
        return reader.Read([chosen.Index], 1, cancellation).Select(batch => torch.tensor(batch.Pixels, [1, 3, preprocess.Height, preprocess.Width]).clone()).Single();
    }

    /// <summary>The image that is drawn.</summary>
    /// <param name="Images">Where it lies.</param>
    /// <param name="Index">Its index there.</param>
    /// <param name="Key">What the PDF's name calls it.</param>
    /// <param name="Name">Its class, or its file.</param>
    private sealed record ChosenImage(IImageItems Images, int Index, string Key, string Name) : IDisposable
    {
        public void Dispose() => (Images as IDisposable)?.Dispose();
    }
}
