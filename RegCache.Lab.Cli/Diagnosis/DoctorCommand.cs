using System.CommandLine;
using RegCache.Lab.Cli.Options;
using RegCache.Lab.Evaluation;

namespace RegCache.Lab.Cli.Diagnosis;

/// <summary>Tells what is installed and what the machine is, and whether the kit can work on it.</summary>
internal sealed class DoctorCommand : KitCommand
{
    private readonly Option<ComputeDevice?> _device = new("--device")
    {
        Description = "Also compare this device with the processor, block by block, and measure ViT-B/16 images/s.",
        HelpName = "cpu|cuda",
        CustomParser = result => OptionOf.Parse<ComputeDevice?>(result, text => text switch
        {
            "cpu" => ComputeDevice.Cpu,
            "cuda" => ComputeDevice.Cuda,
            _ => throw new UserException($"--device must be cpu or cuda, not '{text}'"),
        }),
    };

    private readonly Option<bool> _distributed = new("--distributed")
    {
        Description = "Also look at the processes that mpirun or srun has started: who they are, bandwidth, clocks.",
    };

    /// <inheritdoc/>
    public override string Path => "doctor";

    /// <inheritdoc/>
    public override string Description => "Tells what is installed: packages, libraries, devices, threads, versions.";

    /// <inheritdoc/>
    public override bool SharesWork => true;

    /// <inheritdoc/>
    public override void Declare(Command command)
    {
        command.Add(_device);
        command.Add(_distributed);
    }

    /// <inheritdoc/>
    public override int Run(CommandContext context)
    {
        var lines = new List<DiagnosisLine>();
        Show("Kit", SystemProbe.Kit());
        Show("Machine", SystemProbe.Machine());
        Show("Tensor engine", EngineProbe.Find());
        Show("Libraries", NativeLibraryProbe.FindAll());

        if (context.Arguments.GetValue(_distributed))
        {
            Show("Processes", DistributedProbe.Find());
        }

        if (context.Arguments.GetValue(_device) is { } wanted)
        {
            var device = wanted.Find();
            Show($"Device {device}", DeviceComparison.Differences(device).Concat(DeviceComparison.Speeds(device)));
        }

        var problems = lines.Where(line => line.Problem).ToList();
        context.Output.WriteLine(problems.Count == 0 ? "No problem found." : $"Problems: {string.Join(", ", problems.Select(line => line.Name))}.");
        return problems.Count == 0 ? ExitCode.Success : ExitCode.UserError;

        void Show(string title, IEnumerable<DiagnosisLine> section)
        {
            context.Output.WriteLine(title);
            foreach (var line in section)
            {
                lines.Add(line);
                context.Output.WriteLine($"  {line.Name,-14} : {line.Value}");
            }

            context.Output.WriteLine();
        }
    }
}
