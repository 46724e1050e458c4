// The library's C interface, which RegCache.Lab.Quantization.Integer mirrors. Everything is plain memory of the caller's.
// Functions return 0, or 1 with a sentence in rc_error(), or 2 where an activation is not finite.
#pragma once

#include <cstdint>

#define RC_API extern "C" __attribute__((visibility("default")))

extern "C" {

// A linear layer with packed weights. Arrays over outputs have rc_padded() + 16 elements.
struct rc_linear {
  int32_t factors;  // 0 float32, 1 bfloat16, 2 bytes: unsigned activations, signed weights
  int32_t inputs, outputs;
  const void *packed;
  const float *bias;
  // Bytes only: the weight in row o is (code + weight_offsets[o]) * scale[o].
  const float *scale;
  const int32_t *column_sums;     // of the weight codes
  const int32_t *weight_offsets;  // null: all 0
  const int8_t *columns;          // weight codes [inputs][padded]; needed where clipped_shift is not 0
  // The grid of the input: value = (code - zero) * step with codes 0 .. levels. A clipped value is clipped_shift steps larger.
  int32_t scope;  // 0: given here; else taken from the values of 1 the batch, 2 each image, 3 each row
  int32_t asymmetric, levels, zero;
  float step, clipped_shift;
};

struct rc_norm {
  const float *gain, *offset;
  float epsilon;
};

// A stream of tokens [images, length, width], dense, read and written in the same number type.
struct rc_stream {
  const void *from;
  void *to;
  int32_t narrow;  // bfloat16 instead of float32
  int32_t images, length, width;
};

struct rc_attention {
  int32_t heads;
  int32_t prefix;
  const float *prefix_keys, *prefix_values;  // [heads][prefix][width / heads]
  int64_t prefix_head, prefix_row;           // their strides
  const float *bias;                         // added to logits [images][heads][length][length]; null for none
  int64_t bias_image, bias_head, bias_row, bias_column;
  float *queries, *keys;  // receive [images][heads][length][width / heads]; null: not wanted
};

// Where an activation was not finite.
struct rc_place {
  int64_t row;
  int32_t layer;  // 0 the first linear layer of the call, 1 the second
};

// Seconds that all threads together spent on one kind of work since the last reset.
struct rc_times {
  double measure, encode, product, finish, attention;
};
}

RC_API const char *rc_error();

// Version and instruction set, and what speaks against using the factors here (empty: nothing).
RC_API int rc_describe(char *text, int32_t capacity);
RC_API int rc_problem(int32_t factors, char *text, int32_t capacity);

RC_API int rc_size(int32_t factors, int32_t inputs, int32_t outputs, int64_t *bytes, int32_t *padded);
RC_API int rc_pack(int32_t factors, int32_t inputs, int32_t outputs, const void *weights, void *packed);
RC_API int rc_unpack(int32_t factors, int32_t inputs, int32_t outputs, const void *packed, void *weights);

// to = from W^T + b, [images, length, inputs] to [images, length, outputs].
RC_API int rc_apply(const rc_linear *layer, const rc_stream *stream, int32_t threads, rc_place *place);

// What the product of such a layer works on: codes [rows, inputs] and sums [rows, outputs] before any correction.
RC_API int rc_inspect(const rc_linear *layer, const rc_stream *stream, uint8_t *codes, int32_t *sums, int32_t threads, rc_place *place);

// Only the products of a layer, for so many rows of zeros: what everything around them is measured against.
RC_API int rc_multiply(const rc_linear *layer, int32_t rows, int32_t threads);

// to = from + gain * out(attention(in(norm(from)))); gain may be null.
RC_API int rc_attend(
    const rc_stream *stream, const rc_norm *norm, const rc_linear *in, const rc_attention *attention, const rc_linear *out, const float *gain,
    int32_t threads, rc_place *place);

// to = from + gain * out(activation(in(norm(from)))); activation: 1 GELU, 2 quick GELU.
RC_API int rc_feed(
    const rc_stream *stream, const rc_norm *norm, const rc_linear *in, int32_t activation, const rc_linear *out, const float *gain, int32_t threads,
    rc_place *place);

RC_API void rc_take_times(rc_times *times);
