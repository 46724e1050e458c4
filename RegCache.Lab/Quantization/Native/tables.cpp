#include "tables.h"

#include <cmath>
#include <vector>

namespace rc {
namespace {

// The polynomial through a function's values at the Chebyshev nodes of an interval, by Newton's divided differences,
// expanded into powers of `x - origin` in units of `unit`. Its error is close to the smallest that any polynomial has.
template <typename Function>
void fit(Function function, double from, double to, double origin, double unit, int terms, float *coefficients, int stride) {
  std::vector<double> nodes(terms), differences(terms), powers(terms, 0);
  for (int i = 0; i < terms; i++) {
    const double x = (from + to) / 2 + (to - from) / 2 * std::cos(M_PI * (i + 0.5) / terms);
    nodes[i] = (x - origin) / unit;
    differences[i] = function(x);
  }
  for (int order = 1; order < terms; order++)
    for (int i = terms - 1; i >= order; i--)
      differences[i] = (differences[i] - differences[i - 1]) / (nodes[i] - nodes[i - order]);
  for (int i = terms - 1; i >= 0; i--) {
    for (int power = terms - 1; power > 0; power--) powers[power] = powers[power - 1] - nodes[i] * powers[power];
    powers[0] = differences[i] - nodes[i] * powers[0];
  }
  for (int power = 0; power < terms; power++) coefficients[power * stride] = static_cast<float>(powers[power]);
}

}  // namespace

Tables::Tables() {
  fit([](double x) { return std::exp2(x); }, -0.5, 0.5, 0, 1, exp2_terms, exp2, 1);
  log2e = static_cast<float>(M_LOG2E);
  log2e_rest = static_cast<float>(M_LOG2E - log2e);
  for (int interval = 0; interval < erf_intervals; interval++) {
    const double from = interval * static_cast<double>(erf_step);
    fit([](double x) { return std::erf(x * M_SQRT1_2); }, from, from + erf_step, from, erf_step, erf_terms, &erf[0][interval], erf_intervals);
  }
}

const Tables tables;

}  // namespace rc
