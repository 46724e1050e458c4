namespace SixLabors.ImageSharp;

public class ImageFormatException : Exception
{
    internal ImageFormatException(string errorMessage, Exception? innerException = null)
        : base(errorMessage, innerException)
    {
    }
}
