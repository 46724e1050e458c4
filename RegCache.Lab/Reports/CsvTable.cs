using System.Text.Json;
using CsvHelper;

namespace RegCache.Lab.Reports;

/// <summary>
/// Tables as CSV: one <c>[CsvRecord]</c> partial type a table, its members as columns in their order under snake_case names (<c>WBits</c>
/// is <c>w_bits</c>), invariant culture, numbers that read back to the same bits. Written whole through <see cref="AtomicFile"/>.
/// </summary>
public static class CsvTable
{
    /// <summary>Writes a table, replacing an earlier one.</summary>
    /// <exception cref="UserException">The file cannot be written.</exception>
    public static void Write<T>(string path, IEnumerable<T> rows)
        where T : notnull =>
        AtomicFile.Write(path, stream =>
        {
            using var csv = CsvWriter.Create(stream, new CsvWriterOptions { NewLine = "\n" }, leaveOpen: true);
            csv.WriteHeader(Columns<T>.Names);
            foreach (var row in rows)
            {
                csv.WriteRecord(row);
            }
        });

    /// <summary>Adds a row to a table, or starts the table with it.</summary>
    /// <exception cref="UserException">The file cannot be read or written, or it has other columns.</exception>
    public static void Append<T>(string path, T row)
        where T : notnull
    {
        IReadOnlyList<T> earlier = File.Exists(path) ? Read<T>(path) : [];
        Write(path, earlier.Append(row));
    }

    /// <summary>Reads a table.</summary>
    /// <exception cref="UserException">The file cannot be read, has other columns, or holds a field of the wrong kind.</exception>
    public static IReadOnlyList<T> Read<T>(string path)
        where T : notnull
    {
        try
        {
            using var csv = CsvReader.Create(File.OpenRead(path), Reading);
            csv.ReadHeader();
            return Columns<T>.Names.SequenceEqual(csv.Headers)
                ? csv.GetRecords<T>().ToList()
                : throw new UserException(
                    $"The table {path} has other columns than this version of the kit writes ({string.Join(", ", Columns<T>.Names)}): move it away first.");
        }
        catch (CsvFormatException exception)
        {
            throw new UserException(
                $"The table {path} cannot be read: record {exception.RecordNumber} does not fit its columns; mend it or move it away.", exception);
        }
        catch (Exception exception) when (FileErrors.IsFileError(exception))
        {
            throw FileErrors.ToUserException(exception, $"The table {path} cannot be read");
        }
    }

    private static CsvReaderOptions Reading { get; } = new()
    {
        Separator = ',',
        MalformedData = CsvMalformedDataHandling.Throw,
        FieldCountMismatch = CsvFieldCountHandling.Throw,
        NormalizeHeaderName = name => name.Replace("_", "", StringComparison.Ordinal),
    };

    private static class Columns<T>
        where T : notnull
    {
        public static readonly string[] Names = OfMembers();

        // The record's generated writer knows its members and their order.
        private static string[] OfMembers()
        {
            using var header = new MemoryStream();
            using (var csv = CsvWriter.Create(header, CsvWriterOptions.Default, leaveOpen: true))
            {
                csv.WriteHeader<T>();
            }

            using var reader = CsvReader.Create(header.ToArray(), new CsvReaderOptions { Separator = ',' });
            reader.ReadHeader();
            return [.. reader.Headers.Select(JsonNamingPolicy.SnakeCaseLower.ConvertName)];
        }
    }
}
