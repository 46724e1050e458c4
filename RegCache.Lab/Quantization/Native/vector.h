// Sixteen numbers at a time, in the vector types of GCC and Clang: the same source becomes AVX-512, AVX2 or whatever the
// processor level of the compilation has. Everything is in a namespace of that level, so that no two levels share a function.
#pragma once

#include <cstdint>
#include <cstring>

#include "tables.h"

#define RC_LAMBDA __attribute__((always_inline))
#define RC_METHOD inline RC_LAMBDA
#define RC_INLINE static RC_METHOD

namespace rc::RC_LEVEL {

constexpr int lanes = 16;

typedef float Floats __attribute__((vector_size(64)));
typedef int32_t Ints __attribute__((vector_size(64)));
typedef uint32_t Bits __attribute__((vector_size(64)));
typedef uint16_t Halves __attribute__((vector_size(32)));
typedef uint8_t Bytes __attribute__((vector_size(16)));

#define RC_ALL(v) {v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v}
RC_INLINE Floats splat(float value) { return Floats RC_ALL(value); }
RC_INLINE Ints splat(int value) { return Ints RC_ALL(value); }
#undef RC_ALL

template <typename V> RC_INLINE V load(const void *from) {
  V value;
  memcpy(&value, from, sizeof value);
  return value;
}

template <typename V> RC_INLINE void store(void *to, V value) { memcpy(to, &value, sizeof value); }

// The first `count` elements of a vector; the rest of a load is zero.
template <typename V> RC_INLINE V load_part(const void *from, int count) {
  V value{};
  memcpy(&value, from, count * sizeof value[0]);
  return value;
}

template <typename V> RC_INLINE void store_part(void *to, V value, int count) { memcpy(to, &value, count * sizeof value[0]); }

RC_INLINE Floats as_floats(Ints bits) { return (Floats)bits; }
RC_INLINE Ints as_ints(Floats values) { return (Ints)values; }
RC_INLINE Floats to_floats(Ints values) { return __builtin_convertvector(values, Floats); }

// The vector's maximum instructions take the second operand where one is NaN.
RC_INLINE Floats larger(Floats a, Floats b) { return a > b ? a : b; }
RC_INLINE Floats smaller(Floats a, Floats b) { return a < b ? a : b; }
RC_INLINE Ints larger(Ints a, Ints b) { return a > b ? a : b; }
RC_INLINE Ints smaller(Ints a, Ints b) { return a < b ? a : b; }

// To the nearest whole number, halves to even, below 2^22: adding 1.5 * 2^23 leaves no room for a fraction.
RC_INLINE Floats round_even(Floats values) {
  const Floats shift = splat(12582912.0f);
  return (values + shift) - shift;
}

RC_INLINE Ints to_ints(Floats whole) { return __builtin_convertvector(whole, Ints); }

RC_INLINE float sum(Floats values) {
  float total = 0;
  for (int lane = 0; lane < lanes; lane++) total += values[lane];
  return total;
}

template <typename V> RC_INLINE auto most(V values) {
  auto best = values[0];
  for (int lane = 1; lane < lanes; lane++) best = values[lane] > best ? values[lane] : best;
  return best;
}

// bfloat16 is the upper half of a float; narrowing rounds to even and keeps NaN.
RC_INLINE Floats widen(Halves values) { return (Floats)(__builtin_convertvector(values, Bits) << 16); }

RC_INLINE Halves narrow(Floats values) {
  const Bits bits = (Bits)values;
  const Bits rounded = bits + 0x7fff + ((bits >> 16) & 1);
  const Bits kept = (Bits)(values == values ? (Ints)rounded : (Ints)(bits | 0x400000));
  return __builtin_convertvector(kept >> 16, Halves);
}

RC_INLINE Floats look_up(const float *table, Ints index) {
#ifdef __AVX512F__
  return __builtin_shuffle(load<Floats>(table), index);
#else
  Floats values;
  for (int lane = 0; lane < lanes; lane++) values[lane] = table[index[lane]];
  return values;
#endif
}

// e^x for x from -87 to 88, within 2 units in the last place.
RC_INLINE Floats exponential_inside(Floats x) {
  const Floats whole = round_even(x * tables.log2e);
  const Floats part = (x * tables.log2e - whole) + x * tables.log2e_rest;
  Floats power = splat(tables.exp2[Tables::exp2_terms - 1]);
  for (int term = Tables::exp2_terms - 2; term >= 0; term--) power = power * part + tables.exp2[term];
  return as_floats(as_ints(power) + (to_ints(whole) << 23));
}

// e^x for x up to 0; 0 below -87.
RC_INLINE Floats exponential_below_one(Floats x) {
  const Floats limit = splat(-87.0f);
  const Floats result = exponential_inside(larger(limit, x));
  return x < limit ? Floats{} : result;
}

// e^x, at most e^88.
RC_INLINE Floats exponential(Floats x) { return exponential_below_one(smaller(splat(88.0f), x)); }

// x Phi(x) = x (1 + erf(x / sqrt 2)) / 2, within rounding of that formula.
RC_INLINE Floats gelu(Floats x) {
  const Floats size = as_floats(as_ints(x) & 0x7fffffff);
  const Floats place = smaller(size, splat(Tables::erf_end)) * (1 / Tables::erf_step);
  const Ints interval = smaller(to_ints(place), splat(lanes - 1));
  const Floats part = place - to_floats(interval);
  Floats error = look_up(tables.erf[Tables::erf_terms - 1], interval);
  for (int term = Tables::erf_terms - 2; term >= 0; term--) error = error * part + look_up(tables.erf[term], interval);
  const Floats sided = as_floats(as_ints(error) | (as_ints(x) & (int)0x80000000));
  return (x * 0.5f) * (sided + 1.0f);
}

RC_INLINE Floats quick_gelu(Floats x) { return x / (exponential(x * -1.702f) + 1.0f); }

}  // namespace rc::RC_LEVEL
