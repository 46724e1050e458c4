using TorchSharp.Modules;

namespace TorchSharp;

public static partial class torch
{
    public static partial class nn
    {
        public static class utils
        {
            public static double clip_grad_norm_(IEnumerable<Parameter> tensors, double max_norm, double norm_type = 2)
            {
                using var quiet = no_grad();
                using var scope = NewDisposeScope();
                var gradients = tensors.Select(parameter => parameter.grad).OfType<Tensor>().ToArray();
                if (gradients.Length == 0)
                {
                    return 0;
                }

                var norms = gradients.Select(gradient => linalg.vector_norm(gradient, norm_type)).ToArray();
                var total = linalg.vector_norm(stack(norms), norm_type).ToDouble();
                var factor = max_norm / (total + 1e-6);
                if (factor < 1)
                {
                    foreach (var gradient in gradients)
                    {
                        gradient.mul_(factor);
                    }
                }

                return total;
            }

            public static void clip_grad_value_(IEnumerable<Parameter> tensors, double clip_value)
            {
                using var quiet = no_grad();
                using var scope = NewDisposeScope();
                foreach (var parameter in tensors)
                {
                    parameter.grad?.clamp_(-clip_value, clip_value);
                }
            }
        }
    }
}
