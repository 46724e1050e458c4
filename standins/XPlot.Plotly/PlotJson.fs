namespace XPlot.Plotly

open System
open System.Collections
open System.Globalization
open System.IO
open System.Reflection
open System.Text
open System.Text.Json

/// Writes parts of charts as JSON for plotly.js: what is enumerable becomes an array, what is not finite becomes null (a gap), and
/// `<` is escaped, so that the text may stand inside a script element.
module internal PlotJson =

    let rec private write (writer: Utf8JsonWriter) (value: obj) : unit =
        match value with
        | null -> writer.WriteNullValue()
        | :? string as text -> writer.WriteStringValue text
        | :? bool as flag -> writer.WriteBooleanValue flag
        | :? float as number when not (Double.IsFinite number) -> writer.WriteNullValue()
        | :? float as number -> writer.WriteNumberValue number
        | :? float32 as number when not (Single.IsFinite number) -> writer.WriteNullValue()
        | :? float32 as number -> writer.WriteNumberValue number
        | :? DateTime as time -> writer.WriteStringValue(time.ToString("yyyy-MM-dd HH:mm:ss.fff", CultureInfo.InvariantCulture))
        | :? IDictionary as entries ->
            writer.WriteStartObject()

            for entry in Seq.cast<DictionaryEntry> entries do
                writer.WritePropertyName(Convert.ToString(entry.Key, CultureInfo.InvariantCulture))
                write writer entry.Value

            writer.WriteEndObject()
        | :? Array as matrix when matrix.Rank = 2 ->
            writer.WriteStartArray()

            for row in 0 .. matrix.GetLength 0 - 1 do
                writer.WriteStartArray()

                for column in 0 .. matrix.GetLength 1 - 1 do
                    write writer (matrix.GetValue(row, column))

                writer.WriteEndArray()

            writer.WriteEndArray()
        | :? IEnumerable as items ->
            writer.WriteStartArray()

            for item in items do
                write writer item

            writer.WriteEndArray()
        | _ when value.GetType().Assembly = Assembly.GetExecutingAssembly() ->
            writer.WriteStartObject()

            for property in PropertyBag.properties value do
                writer.WritePropertyName property.Key
                write writer property.Value

            writer.WriteEndObject()
        | _ -> JsonSerializer.Serialize(writer, value, value.GetType())

    let ofObject (value: obj) =
        use buffer = new MemoryStream()

        using (new Utf8JsonWriter(buffer)) (fun writer -> write writer value)

        Encoding.UTF8.GetString(buffer.GetBuffer(), 0, int buffer.Length)
