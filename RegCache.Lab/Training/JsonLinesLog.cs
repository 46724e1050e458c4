using System.Text;
using System.Text.Json;
using RegCache.Lab.Reports;

namespace RegCache.Lab.Training;

/// <summary>Where the numbers of a training go.</summary>
public interface ITrainingLog : IDisposable
{
    /// <summary>Writes numbers that belong to a step.</summary>
    /// <param name="step">Optimiser steps taken so far.</param>
    /// <param name="values">Numbers by name, for example <c>train/loss</c>.</param>
    void Write(long step, IReadOnlyDictionary<string, double> values);
}

/// <summary>Appends one JSON object a line to a file.</summary>
public sealed class JsonLinesLog : ITrainingLog
{
    private static readonly JsonSerializerOptions _oneLine = new(ReportJson.Options) { WriteIndented = false };
    private readonly string _path;
    private readonly string _counter;
    private readonly FileStream _stream;

    /// <summary>Opens the file. Lines of steps after <paramref name="lastStep"/> and half-written ones are dropped.</summary>
    /// <param name="path">The file; its folder is created.</param>
    /// <param name="lastStep">The step that a resumed training continues after.</param>
    /// <param name="counter">The name of the number that counts lines: a step, or an epoch.</param>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public JsonLinesLog(string path, long lastStep, string counter = "step")
    {
        (_path, _counter) = (path, counter);
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
            if (File.Exists(path))
            {
                var kept = File.ReadLines(path).Where(line => StepOf(line) is { } step && step <= lastStep).ToArray();
                AtomicFile.WriteText(path, string.Concat(kept.Select(line => line + "\n")));
            }

            _stream = new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.Read);
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The log {path} cannot be written");
        }
    }

    /// <inheritdoc />
    public void Write(long step, IReadOnlyDictionary<string, double> values)
    {
        var line = new OrderedDictionary<string, object> { [_counter] = step };
        foreach (var (name, value) in values)
        {
            line[name] = value;
        }

        try
        {
            _stream.Write(Encoding.UTF8.GetBytes(JsonSerializer.Serialize(line, _oneLine) + "\n"));
            _stream.Flush();
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The log {_path} cannot be written");
        }
    }

    /// <inheritdoc />
    public void Dispose() => _stream.Dispose();

    private long? StepOf(string line)
    {
        try
        {
            using var json = JsonDocument.Parse(line);
            return json.RootElement.ValueKind == JsonValueKind.Object
                && json.RootElement.TryGetProperty(_counter, out var step)
                && step.TryGetInt64(out var value)
                ? value
                : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
