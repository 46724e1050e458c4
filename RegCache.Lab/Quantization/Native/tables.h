// Polynomial coefficients of the vector functions, computed once in double precision when the library is loaded.
#pragma once

namespace rc {

struct Tables {
  static constexpr int exp2_terms = 6;
  static constexpr int erf_terms = 6, erf_intervals = 16;
  static constexpr float erf_step = 0.375f, erf_end = erf_step * erf_intervals;

  Tables();

  // 2^x on [-1/2, 1/2] by powers of x.
  float exp2[exp2_terms];
  // log2(e) in two parts.
  float log2e, log2e_rest;
  // erf(x / sqrt 2): interval i covers x = erf_step * [i, i + 1], by powers of the place within it.
  alignas(64) float erf[erf_terms][erf_intervals];
};

extern const Tables tables;

}  // namespace rc
