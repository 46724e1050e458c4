namespace RegCache.Lab.Notebooks.Scripting;

/// <summary>Takes what a running cell shows. May be called from any thread.</summary>
public interface ICellOutput
{
    /// <summary>Text printed by the cell.</summary>
    void Write(ConsoleChannel stream, string text);

    /// <summary>A value shown while the cell runs.</summary>
    /// <param name="content">The value in one or more formats.</param>
    /// <param name="displayId">A name under which it can be updated; may be null.</param>
    void Display(MimeBundle content, string? displayId);

    /// <summary>A new content for everything that was shown under a name.</summary>
    void Update(MimeBundle content, string displayId);

    /// <summary>The value of the cell's last expression.</summary>
    void Result(MimeBundle content);

    /// <summary>Asks the person at the notebook for a line of text.</summary>
    /// <exception cref="UserException">Nobody can be asked.</exception>
    string ReadLine(string prompt, bool secret);
}
