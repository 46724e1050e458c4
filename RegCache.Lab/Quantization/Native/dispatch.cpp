// Chooses the kernels of the best level that this processor has.
#include "kernels.h"

namespace rc {

#ifdef __x86_64__
namespace v3 { extern const Kernels all; }
namespace v4 { extern const Kernels all; }
#endif
namespace base { extern const Kernels all; }

const Kernels &kernels() {
#ifdef __x86_64__
  // What the compiler may use at a level is a little more than is asked for here, but no processor has one without the other.
  static const Kernels &best = __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") ? v4::all
      : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? v3::all
      : base::all;
  return best;
#else
  return base::all;
#endif
}

int64_t head_scratch(int length, int prefix, int width) {
  const auto whole = [](int64_t count) { return (count + 15) / 16 * 16; };
  const int64_t columns = whole(length + prefix), channels = whole(width);
  // Turned keys; logits and result of a group; prefix values.
  return width * (columns + 16) + head_group * (columns + channels) + prefix * channels;
}

}  // namespace rc
