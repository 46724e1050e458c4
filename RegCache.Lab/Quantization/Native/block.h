#pragma once

#include "api.h"
#include "kernels.h"

namespace rc {

// to = from W^T + b. With `codes` or `sums`, what the product works on is stored as well, and nothing in `to` with `sums`.
void apply(const rc_linear &linear, const rc_stream &stream, uint8_t *codes, int32_t *sums, int threads);

// Only the products, of rows of zeros.
void multiply(const rc_linear &linear, int rows, int threads);

// to = from + gain * out(attention(in(norm(from))))
void attend(const rc_stream &stream, const rc_norm &norm, const rc_linear &in, const rc_attention &attention, const rc_linear &out, const float *gain, int threads);

// to = from + gain * out(activation(in(norm(from))))
void feed(const rc_stream &stream, const rc_norm &norm, const rc_linear &in, Activation activation, const rc_linear &out, const float *gain, int threads);

}  // namespace rc
