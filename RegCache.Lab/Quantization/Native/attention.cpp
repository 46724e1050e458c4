// One head of attention in float32. The keys are turned once, so that both products run along the vectors; the logits of a
// group of queries never leave the first-level cache.
#include "rows.h"

#include "vector.h"

namespace rc::RC_LEVEL {
namespace {

// A block of `queries` x `wide` vectors of sums stays in registers.
constexpr int queries = 6;
// Queries, and keys of a value product, that are worked on together.
constexpr int group = head_group, keys_at_once = 64;
#ifdef __AVX512F__
constexpr int wide = 4;
#else
constexpr int wide = 1;
#endif

RC_INLINE int64_t whole_vectors(int64_t count) { return (count + lanes - 1) / lanes * lanes; }

// result[q][0 .. 16 Wide) (+)= sum over k of a[q][k] b[k][0 .. 16 Wide)
template <int Wide>
RC_INLINE void multiply(const float *a, int64_t a_stride, const float *b, int64_t b_stride, int depth, float *result, int64_t result_stride, bool add) {
  Floats sums[queries][Wide];
  for (int q = 0; q < queries; q++)
    for (int w = 0; w < Wide; w++) sums[q][w] = add ? load<Floats>(result + q * result_stride + w * lanes) : Floats{};
  for (int k = 0; k < depth; k++) {
    Floats row[Wide];
#pragma GCC unroll 4
    for (int w = 0; w < Wide; w++) row[w] = load<Floats>(b + k * b_stride + w * lanes);
#pragma GCC unroll 6
    for (int q = 0; q < queries; q++) {
      const Floats factor = splat(a[q * a_stride + k]);
#pragma GCC unroll 4
      for (int w = 0; w < Wide; w++) sums[q][w] += factor * row[w];
    }
  }
  for (int q = 0; q < queries; q++)
    for (int w = 0; w < Wide; w++) store(result + q * result_stride + w * lanes, sums[q][w]);
}

// The same for up to a group of rows and any number of vectors; what the rows share of b stays in the first-level cache.
// Rows that fill up the last block are computed from whatever is there.
RC_INLINE void multiply_group(int wanted, const float *a, int64_t a_stride, const float *b, int64_t b_stride, int depth, float *result, int64_t stride, bool add, int64_t columns) {
  const int rows = (wanted + queries - 1) / queries * queries;
  for (int64_t column = 0; column < columns;) {
    const int vectors = columns - column >= wide * lanes ? wide : columns - column >= 2 * lanes ? 2 : 1;
    for (int block = 0; block < rows; block += queries) {
      const float *left = a + block * a_stride;
      float *sums = result + block * stride + column;
      if (vectors == wide)
        multiply<wide>(left, a_stride, b + column, b_stride, depth, sums, stride, add);
      else if (vectors == 2)
        multiply<2>(left, a_stride, b + column, b_stride, depth, sums, stride, add);
      else
        multiply<1>(left, a_stride, b + column, b_stride, depth, sums, stride, add);
    }
    column += vectors * lanes;
  }
}

#ifdef __AVX512F__
// Transposes 16 x 16 values: four rounds, each of which exchanges halves of pairs of rows.
RC_INLINE void transpose(Floats *rows) {
#pragma GCC unroll 4
  for (int half = 8; half > 0; half /= 2) {
    Ints first, second;
    for (int lane = 0; lane < lanes; lane++) {
      first[lane] = lane & half ? lanes + (lane ^ half) : lane;
      second[lane] = lane & half ? lanes + lane : lane ^ half;
    }
#pragma GCC unroll 16
    for (int row = 0; row < lanes; row++) {
      if (row & half) continue;
      const Floats upper = rows[row], lower = rows[row + half];
      rows[row] = __builtin_shuffle(upper, lower, first);
      rows[row + half] = __builtin_shuffle(upper, lower, second);
    }
  }
}
#endif

// turned[channel][row] = source[row][channel], and 0 up to a whole vector of rows
RC_INLINE void turn(const float *source, int64_t stride, int rows, int width, float *turned, int64_t turned_stride) {
#ifdef __AVX512F__
  for (int row = 0; row < rows; row += lanes) {
    const int count = rows - row < lanes ? rows - row : lanes;
    for (int channel = 0; channel < width; channel += lanes) {
      Floats block[lanes];
      for (int i = 0; i < lanes; i++) block[i] = i < count ? load<Floats>(source + (row + i) * stride + channel) : Floats{};
      transpose(block);
      for (int i = 0; i < lanes && channel + i < width; i++) store(turned + (channel + i) * turned_stride + row, block[i]);
    }
  }
#else
  for (int64_t row = 0; row < whole_vectors(rows); row++)
    for (int channel = 0; channel < width; channel++) turned[channel * turned_stride + row] = row < rows ? source[row * stride + channel] : 0;
#endif
}

// Replaces a row of products by the exponentials of the logits; returns 1 / their sum.
RC_INLINE float soften(const Head &head, int query, float *row, int64_t columns) {
  float factor = head.factor;
  if (head.bias) {
    const float *bias = head.bias + query * head.bias_row;
    for (int key = 0; key < head.prefix; key++) row[key] *= factor;
    for (int key = 0; key < head.length; key++) row[head.prefix + key] = row[head.prefix + key] * factor + bias[key * head.bias_column];
    factor = 1;
  }
  for (int64_t column = head.prefix + head.length; column < columns; column++) row[column] = -__builtin_inff();
  Floats largest = load<Floats>(row);
  for (int64_t column = lanes; column < columns; column += lanes) largest = larger(largest, load<Floats>(row + column));
  const Floats top = splat(most(largest) * factor);
  Floats total{};
  for (int64_t column = 0; column < columns; column += lanes) {
    const Floats weight = exponential_below_one(load<Floats>(row + column) * factor - top);
    store(row + column, weight);
    total += weight;
  }
  return 1 / sum(total);
}

}  // namespace

void attend(const Head &head) {
  const int64_t columns = whole_vectors(head.prefix + head.length), channels = whole_vectors(head.width);
  // A turned row of keys ends with room for what turning fills up.
  const int64_t keys_stride = columns + lanes;
  float *keys = head.scratch;
  float *logits = keys + head.width * keys_stride;
  float *mixed = logits + group * columns;
  float *prefix = mixed + group * channels;

  turn(head.prefix_keys, head.prefix_stride, head.prefix, head.width, keys, keys_stride);
  turn(head.keys, head.stride, head.length, head.width, keys + head.prefix, keys_stride);
  for (int row = 0; row < head.prefix; row++)
    memcpy(prefix + row * channels, head.prefix_values + row * head.prefix_stride, head.width * sizeof(float));

  for (int start = 0; start < head.length; start += group) {
    const int rows = head.length - start < group ? head.length - start : group;
    multiply_group(rows, head.queries + start * head.stride, head.stride, keys, keys_stride, head.width, logits, columns, false, columns);
    float shares[group];
    for (int row = 0; row < rows; row++) shares[row] = soften(head, start + row, logits + row * columns, columns);
    multiply_group(rows, logits, columns, prefix, channels, head.prefix, mixed, channels, false, channels);
    for (int key = 0; key < head.length; key += keys_at_once) {
      const int count = key + keys_at_once < head.length ? keys_at_once : head.length - key;
      multiply_group(rows, logits + head.prefix + key, columns, head.values + key * head.stride, head.stride, count, mixed, channels, true, channels);
    }
    for (int row = 0; row < rows; row++) {
      float *target = head.mixed + (start + row) * head.mixed_stride;
      for (int channel = 0; channel < head.width; channel++) target[channel] = mixed[row * channels + channel] * shares[row];
    }
  }
}

}  // namespace rc::RC_LEVEL
