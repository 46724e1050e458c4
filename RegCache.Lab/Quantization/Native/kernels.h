// What the blocks compute besides matrix products, row by row, compiled once for every processor level.
#pragma once

#include <cstdint>

namespace rc {

// Rows of values to read: float32, or bfloat16 where `narrow`, optionally normalised on the way.
struct Rows {
  const void *data;
  int64_t stride;  // in elements
  int count, width;
  bool narrow;
  const float *gain, *offset;  // LayerNorm; null reads the values as they are
  float epsilon;
};

// Smallest and largest value of a row; both NaN where a value is not finite.
struct Range {
  float low, high;
};

// A row's grid: value = (code - zero) * step, codes 0 .. levels.
struct RowGrid {
  float step;
  int zero;
};

// Where encoded rows go.
struct Codes {
  uint8_t *codes;
  int stride;        // the columns from `width` on are filled with 0
  int *sums;         // sum of the codes of each row; null: not wanted
  int levels;
  uint16_t *clipped; // [rows][width] columns of the values outside the range; null: not wanted
  int *clipped_count;
};

enum class Activation : int { None, Gelu, QuickGelu };

// Turns a tile of products into values: scales, bias, activation, gain, residual; the last three where asked for.
struct Finish {
  const void *products;  // [rows][stride] int32 or float
  int stride;
  bool integers;
  int rows, columns;
  const float *bias, *scale;  // of the tile's columns
  const int *column_sums, *weight_offsets;  // integers; offsets may be null
  const RowGrid *grids;
  const int *code_sums;
  int depth;
  const float *extra;  // [rows][stride] added to integer products; null for none
  float extra_factor;
  Activation activation;
  const float *gain;     // of the tile's columns; null for none
  const void *residual;  // null for none; laid out as the target
  void *target;
  int64_t target_stride;
  bool narrow;  // residual and target are bfloat16
  Range *ranges;  // widened by the values of each row; null: not wanted
};

// One head of attention of one image: softmax(q k'^T factor + bias) v' with k' and v' = prefix rows, then own rows.
struct Head {
  const float *queries, *keys, *values;  // [length][width], rows `stride` apart; readable up to 8 rows behind the last
  int64_t stride;
  int length, width;
  const float *prefix_keys, *prefix_values;  // [prefix][width]
  int64_t prefix_stride;
  int prefix;
  const float *bias;  // of the own columns; null for none
  int64_t bias_row, bias_column;
  float factor;
  float *mixed;  // [length][width], rows `mixed_stride` apart
  int64_t mixed_stride;
  float *scratch;  // head_scratch(..) floats
};

struct Kernels {
  const char *level;
  // The range of each row.
  void (*measure)(const Rows &, Range *);
  // Codes of each row; returns the first row with a value that is NaN, or -1.
  int (*encode)(const Rows &, const RowGrid *, const Codes &);
  // Values as float or bfloat16; the columns from `width` to `stride` are filled with 0.
  void (*copy)(const Rows &, void *to, int stride, bool narrow);
  void (*finish)(const Finish &);
  void (*attend)(const Head &);
};

// Queries that a head works on together.
constexpr int head_group = 24;

int64_t head_scratch(int length, int prefix, int width);

// The kernels of the best level that this processor has.
const Kernels &kernels();

}  // namespace rc
