namespace Microsoft.DotNet.Interactive;

public interface IKernelExtension
{
    Task OnLoadAsync(Kernel kernel);
}
