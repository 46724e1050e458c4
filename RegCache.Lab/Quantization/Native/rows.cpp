// Normalising, measuring, encoding and finishing rows.
#include "rows.h"

#include "vector.h"

namespace rc::RC_LEVEL {
namespace {

// A row's values, sixteen at a time, as they are or normalised.
template <bool Narrow> struct Reader {
  const char *row;
  int width;
  const float *gain = nullptr, *offset = nullptr;
  float mean = 0, scale = 0;

  RC_INLINE Floats raw(const char *row, int column, int count) {
    if constexpr (Narrow) return widen(count == lanes ? load<Halves>(row + 2 * column) : load_part<Halves>(row + 2 * column, count));
    return count == lanes ? load<Floats>(row + 4 * column) : load_part<Floats>(row + 4 * column, count);
  }

  RC_METHOD Reader(const Rows &rows, int index)
      : row(static_cast<const char *>(rows.data) + index * rows.stride * (Narrow ? 2 : 4)), width(rows.width) {
    if (!rows.gain) return;
    gain = rows.gain, offset = rows.offset;
    Floats total{}, squares{};
    each([&](int column, int count) RC_LAMBDA { total += raw(row, column, count); });
    mean = sum(total) / width;
    each([&](int column, int count) RC_LAMBDA {
      Floats distance = raw(row, column, count) - mean;
      if (count < lanes) distance = first(distance, count);
      squares += distance * distance;
    });
    scale = 1 / __builtin_sqrtf(sum(squares) / width + rows.epsilon);
  }

  template <typename Use> RC_METHOD void each(Use use) const {
    int column = 0;
    for (; column <= width - lanes; column += lanes) use(column, lanes);
    if (column < width) use(column, width - column);
  }

  RC_INLINE Floats first(Floats values, int count) {
    for (int lane = 0; lane < lanes; lane++) values[lane] = lane < count ? values[lane] : 0;
    return values;
  }

  // Beyond the row's end: 0.
  RC_METHOD Floats read(int column, int count) const {
    const Floats values = raw(row, column, count);
    if (!gain) return values;
    if (count == lanes) return (values - mean) * scale * load<Floats>(gain + column) + load<Floats>(offset + column);
    return first((values - mean) * scale * load_part<Floats>(gain + column, count) + load_part<Floats>(offset + column, count), count);
  }
};

// Calls a function with the reader of every row.
template <typename Use> RC_INLINE void each_row(const Rows &rows, Use use) {
  for (int row = 0; row < rows.count; row++) {
    if (rows.narrow)
      use(row, Reader<true>(rows, row));
    else
      use(row, Reader<false>(rows, row));
  }
}

constexpr int infinite = 0x7f800000;

RC_INLINE Range range_of(Floats low, Floats high, Ints size) {
  if (most(size) >= infinite) return {__builtin_nanf(""), __builtin_nanf("")};
  return {-most(-low), most(high)};
}

}  // namespace

void measure(const Rows &rows, Range *ranges) {
  each_row(rows, [&](int index, const auto &row) RC_LAMBDA {
    Floats low{}, high{};
    Ints size{};
    bool begun = false;
    row.each([&](int column, int count) RC_LAMBDA {
      const Floats values = row.read(column, count);
      // Bits order sizes as numbers do, with NaN on top.
      size = larger(size, as_ints(values) & 0x7fffffff);
      if (count == lanes) {
        low = begun ? smaller(low, values) : values;
        high = begun ? larger(high, values) : values;
        begun = true;
        return;
      }
      if (!begun) low = high = splat(values[0]);
      for (int lane = 0; lane < count; lane++) {
        low[lane] = values[lane] < low[lane] ? values[lane] : low[lane];
        high[lane] = values[lane] > high[lane] ? values[lane] : high[lane];
      }
    });
    ranges[index] = range_of(low, high, size);
  });
}

int encode(const Rows &rows, const RowGrid *grids, const Codes &to) {
  int damaged = -1;
  each_row(rows, [&](int index, const auto &row) RC_LAMBDA {
    const Floats step = splat(grids[index].step);
    const int zero = grids[index].zero, levels = to.levels;
    // One beyond the range on both sides still tells that a value was clipped.
    const Floats lowest = splat(static_cast<float>(-zero - 1)), highest = splat(static_cast<float>(levels - zero + 1));
    uint8_t *codes = to.codes + static_cast<int64_t>(index) * to.stride;
    Ints total{}, broken{};
    int outside = 0;
    row.each([&](int column, int count) RC_LAMBDA {
      const Floats values = row.read(column, count);
      broken |= values != values;
      const Floats place = smaller(highest, larger(lowest, values / step));
      const Ints found = to_ints(round_even(place)) + zero;
      const Ints code = smaller(splat(levels), larger(Ints{}, found));
      const Bytes bytes = __builtin_convertvector(code, Bytes);
      if (count == lanes)
        store(codes + column, bytes);
      else
        store_part(codes + column, bytes, count);
      if (to.sums)
        for (int lane = 0; lane < lanes; lane++) total[lane] += lane < count ? code[lane] : 0;
      if (to.clipped)
        for (int lane = 0; lane < count; lane++)
          if (found[lane] <= 0 || found[lane] > levels) to.clipped[static_cast<int64_t>(index) * rows.width + outside++] = column + lane;
    });
    for (int column = rows.width; column < to.stride; column++) codes[column] = 0;
    if (damaged < 0 && most(broken * -1) > 0) damaged = index;
    if (to.sums) {
      int value = 0;
      for (int lane = 0; lane < lanes; lane++) value += total[lane];
      to.sums[index] = value;
    }
    if (to.clipped) to.clipped_count[index] = outside;
  });
  return damaged;
}

void copy(const Rows &rows, void *to, int stride, bool narrow_target) {
  each_row(rows, [&](int index, const auto &row) RC_LAMBDA {
    char *target = static_cast<char *>(to) + static_cast<int64_t>(index) * stride * (narrow_target ? 2 : 4);
    row.each([&](int column, int count) RC_LAMBDA {
      const Floats values = row.read(column, count);
      if (narrow_target)
        store_part(target + 2 * column, narrow(values), count);
      else
        store_part(target + 4 * column, values, count);
    });
    const int size = narrow_target ? 2 : 4;
    memset(target + size * rows.width, 0, size * (stride - rows.width));
  });
}

namespace {

template <bool Integers, Activation Function, bool Narrow> void finish_tile(const Finish &tile) {
  constexpr int size = Narrow ? 2 : 4;
  for (int row = 0; row < tile.rows; row++) {
    const char *products = static_cast<const char *>(tile.products) + static_cast<int64_t>(row) * tile.stride * 4;
    const float *extra = tile.extra ? tile.extra + static_cast<int64_t>(row) * tile.stride : nullptr;
    const int64_t start = row * tile.target_stride;
    char *target = static_cast<char *>(tile.target) + start * size;
    const char *residual = tile.residual ? static_cast<const char *>(tile.residual) + start * size : nullptr;
    const RowGrid grid = Integers ? tile.grids[row] : RowGrid{1, 0};
    const int code_sum = Integers && tile.weight_offsets ? tile.code_sums[row] - tile.depth * grid.zero : 0;
    Floats low = splat(__builtin_inff()), high = -low;
    Ints largest{};
    const auto compute = [&](int column, int count) RC_LAMBDA {
      Floats values;
      if constexpr (Integers) {
        Ints exact = load<Ints>(products + 4 * column) - load<Ints>(tile.column_sums + column) * grid.zero;
        if (tile.weight_offsets) exact += load<Ints>(tile.weight_offsets + column) * code_sum;
        values = to_floats(exact);
        if (extra) values += load<Floats>(extra + column) * tile.extra_factor;
        values = values * (load<Floats>(tile.scale + column) * grid.step) + load<Floats>(tile.bias + column);
      } else {
        values = load<Floats>(products + 4 * column) + load<Floats>(tile.bias + column);
      }
      if constexpr (Function == Activation::Gelu) values = gelu(values);
      if constexpr (Function == Activation::QuickGelu) values = quick_gelu(values);
      if (tile.gain) values *= count == lanes ? load<Floats>(tile.gain + column) : load_part<Floats>(tile.gain + column, count);
      if (residual) {
        if constexpr (Narrow)
          values += widen(count == lanes ? load<Halves>(residual + size * column) : load_part<Halves>(residual + size * column, count));
        else
          values += count == lanes ? load<Floats>(residual + size * column) : load_part<Floats>(residual + size * column, count);
      }
      if (tile.ranges) {
        if (count < lanes)
          for (int lane = count; lane < lanes; lane++) values[lane] = values[0];
        low = smaller(low, values);
        high = larger(high, values);
        largest = larger(largest, as_ints(values) & 0x7fffffff);
      }
      if constexpr (Narrow) {
        if (count == lanes)
          store(target + size * column, narrow(values));
        else
          store_part(target + size * column, narrow(values), count);
      } else {
        if (count == lanes)
          store(target + size * column, values);
        else
          store_part(target + size * column, values, count);
      }
    };
    int column = 0;
    for (; column <= tile.columns - lanes; column += lanes) compute(column, lanes);
    if (column < tile.columns) compute(column, tile.columns - column);
    if (tile.ranges) {
      Range &range = tile.ranges[row];
      const Range found = range_of(low, high, largest);
      // A range that is NaN stays NaN: the comparison fails.
      if (found.low != found.low) range = found;
      if (found.low < range.low) range.low = found.low;
      if (found.high > range.high) range.high = found.high;
    }
  }
}

template <bool Integers, bool Narrow> void finish_tile(const Finish &tile) {
  switch (tile.activation) {
    case Activation::Gelu: return finish_tile<Integers, Activation::Gelu, Narrow>(tile);
    case Activation::QuickGelu: return finish_tile<Integers, Activation::QuickGelu, Narrow>(tile);
    default: return finish_tile<Integers, Activation::None, Narrow>(tile);
  }
}

}  // namespace

void finish(const Finish &tile) {
  if (tile.integers)
    tile.narrow ? finish_tile<true, true>(tile) : finish_tile<true, false>(tile);
  else
    tile.narrow ? finish_tile<false, true>(tile) : finish_tile<false, false>(tile);
}

}  // namespace rc::RC_LEVEL
