#include "layer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>

namespace rc {
namespace {

// Factors of a tile stay in the second-level cache beside a panel and its sums.
constexpr int tile_bytes = 384 << 10, fewest_rows = 48, most_tile_rows = 128;
// Products run on multiples of this many rows, so that few shapes occur.
constexpr int row_step = 8;

// Ranges below this count as this (docs/methods/quantizers.md, "Naive").
constexpr float smallest_range = 1e-6f;

int round_up(int value, int to) { return (value + to - 1) / to * to; }

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::mutex times_guard;
rc_times total_times{};

void add(rc_times &to, const rc_times &from) {
  to.measure += from.measure, to.encode += from.encode, to.product += from.product, to.finish += from.finish, to.attention += from.attention;
}

}  // namespace

Tiling::Tiling(int rows, int most, int threads) : rows(rows) {
  const int fewest = std::min({(rows + most - 1) / most + threads, 2 * threads, std::max(1, rows / (2 * row_step))});
  const int wanted = round_up(std::max((rows + most - 1) / most, fewest), rows > threads * row_step ? threads : 1);
  tile_rows = std::max(row_step, round_up((rows + wanted - 1) / wanted, row_step));
  count = (rows + tile_rows - 1) / tile_rows;
}

Tile Tiling::tile(int index) const { return {index * tile_rows, std::min(tile_rows, rows - index * tile_rows)}; }

void Stopwatch::start() { last_ = now(); }

void Stopwatch::add(double rc_times::*kind) {
  const double time = now();
  times_.*kind += time - last_;
  last_ = time;
}

void count_times(const rc_times &times) {
  const std::lock_guard lock(times_guard);
  add(total_times, times);
}

RC_API void rc_take_times(rc_times *times) {
  const std::lock_guard lock(times_guard);
  *times = total_times;
  total_times = {};
}

Layer::Layer(const rc_linear &linear, int number, const Rows &rows, int length)
    : linear(linear), shape(static_cast<Factors>(linear.factors), linear.inputs, linear.outputs), rows(rows), number_(number), length_(length) {}

int Layer::most_rows() const {
  return std::clamp(tile_bytes / (shape.depth * factor_size(shape.factors)) / row_step * row_step, fewest_rows, most_tile_rows);
}

void Layer::place(Arena &arena) {
  ranges = arena.take<Range>(rows.count);
  grids = arena.take<RowGrid>(rows.count);
}

void Layer::clear(Tile tile) {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  std::fill_n(ranges + tile.first, tile.count, Range{infinity, -infinity});
}

namespace {

Rows rows_of(const Rows &all, Tile tile) {
  Rows some = all;
  some.data = static_cast<const char *>(all.data) + tile.first * all.stride * (all.narrow ? 2 : 4);
  some.count = tile.count;
  return some;
}

Range join(Range a, Range b) {
  // A NaN of either stays.
  return {a.low != a.low || a.low < b.low ? a.low : b.low, a.high != a.high || a.high > b.high ? a.high : b.high};
}

}  // namespace

void Layer::measure(Tile tile) { kernels().measure(rows_of(rows, tile), ranges + tile.first); }

RowGrid Layer::grid(Range range, int row) const {
  if (!std::isfinite(range.low) || !std::isfinite(range.high)) throw NotFinite{row, number_};
  const float levels = static_cast<float>(linear.levels);
  if (!linear.asymmetric) {
    // Codes -2^(b-1) .. 2^(b-1) - 1, stored from 0 on.
    const int zero = (linear.levels + 1) / 2;
    return {std::max(std::max(range.high, -range.low), smallest_range) / static_cast<float>(zero - 1), zero};
  }
  const float low = std::min(range.low, 0.0f), high = std::max(range.high, 0.0f), width = high - low;
  // The difference of two huge numbers overflows where the difference of their parts does not.
  const float step = std::isinf(width) ? high / levels - low / levels : std::max(width, smallest_range) / levels;
  return {step, static_cast<int>(std::clamp(std::nearbyint(-low / step), 0.0f, levels))};
}

void Layer::settle(Tile tile) {
  const int apart = linear.scope == 1 ? tile.count : length_;
  for (int first = tile.first; first < tile.first + tile.count; first += apart) {
    Range all = ranges[first];
    int damaged = first;
    for (int row = first; row < first + apart; row++) {
      if (ranges[row].low != ranges[row].low) {
        all = ranges[row], damaged = row;
        break;
      }
      all = join(all, ranges[row]);
    }
    std::fill_n(grids + first, apart, grid(all, damaged));
  }
}

void Layer::prepare(Tile tile, Worker &worker) const {
  const Rows some = rows_of(rows, tile);
  const int size = factor_size(shape.factors);
  if (!bytes()) {
    kernels().copy(some, worker.rows, shape.depth, shape.factors == Factors::Bfloat);
  } else {
    if (needs_ranges()) {
      std::copy_n(grids + tile.first, tile.count, worker.grids);
    } else if (linear.scope == 3) {
      kernels().measure(some, ranges + tile.first);
      for (int row = 0; row < tile.count; row++) worker.grids[row] = grid(ranges[tile.first + row], tile.first + row);
    } else {
      std::fill_n(worker.grids, tile.count, RowGrid{linear.step, linear.zero});
    }
    const Codes codes{
        static_cast<uint8_t *>(worker.rows), shape.depth, linear.weight_offsets ? worker.code_sums : nullptr, linear.levels,
        linear.clipped_shift != 0 ? worker.clipped : nullptr, worker.clipped_count};
    const int damaged = kernels().encode(some, worker.grids, codes);
    if (damaged >= 0) throw NotFinite{tile.first + damaged, number_};
  }
  // What fills up the last tile must not be anything that is slow or not finite.
  const int spare = round_up(tile.count, row_step) - tile.count;
  std::memset(static_cast<char *>(worker.rows) + static_cast<int64_t>(tile.count) * shape.depth * size, 0, static_cast<size_t>(spare) * shape.depth * size);
}

Worker::Worker(const Layer &layer, int tile_rows) : layer(layer), tile_rows_(tile_rows) {}

void Worker::place(Arena &arena) {
  const auto &shape = layer.shape;
  const size_t count = tile_rows_;
  rows = arena.take<char>(count * shape.depth * factor_size(shape.factors));
  sums = arena.take<float>(count * shape.width);
  if (!layer.bytes()) return;
  grids = arena.take<RowGrid>(count);
  code_sums = arena.take<int>(count);
  if (layer.linear.clipped_shift == 0) return;
  clipped_count = arena.take<int>(count);
  clipped = arena.take<uint16_t>(count * shape.inputs);
  extra_ = arena.take<float>(count * shape.width);
}

TileProduct &Worker::product(int count) {
  const int wanted = round_up(count, row_step);
  const auto found = std::find_if(products_.begin(), products_.end(), [&](const auto &made) { return made.rows() == wanted; });
  return found != products_.end() ? *found : products_.emplace_back(layer.shape, wanted);
}

Finish Worker::finish(int first, int count) {
  const auto &linear = layer.linear;
  Finish tile{};
  tile.products = sums;
  tile.stride = layer.shape.width;
  tile.integers = layer.bytes();
  tile.rows = count;
  tile.bias = linear.bias + first;
  if (!layer.bytes()) return tile;
  tile.scale = linear.scale + first;
  tile.column_sums = linear.column_sums + first;
  tile.weight_offsets = linear.weight_offsets ? linear.weight_offsets + first : nullptr;
  tile.grids = grids;
  tile.code_sums = code_sums;
  tile.depth = layer.shape.inputs;
  if (linear.clipped_shift == 0) return tile;

  // Clipped values lie a fraction of a step beside the codes; few are clipped, so their part is added by itself.
  const int width = layer.shape.width;
  std::fill_n(extra_, static_cast<size_t>(count) * width, 0.0f);
  for (int row = 0; row < count; row++)
    for (int entry = 0; entry < clipped_count[row]; entry++) {
      const int column = clipped[static_cast<size_t>(row) * layer.shape.inputs + entry];
      const int8_t *weights = linear.columns + static_cast<size_t>(column) * layer.shape.padded() + first;
      for (int output = 0; output < width; output++) {
        const int offset = tile.weight_offsets ? tile.weight_offsets[output] : 0;
        extra_[static_cast<size_t>(row) * width + output] += static_cast<float>(weights[output] + offset);
      }
    }
  tile.extra = extra_;
  tile.extra_factor = linear.clipped_shift;
  return tile;
}

Finish part(const Finish &tile, int row, int rows, int column, int columns) {
  const int64_t skipped = static_cast<int64_t>(row) * tile.stride + column;
  Finish some = tile;
  some.products = static_cast<const char *>(tile.products) + skipped * 4;
  some.rows = rows;
  some.columns = columns;
  some.bias += column;
  if (tile.gain) some.gain += column;
  if (!tile.integers) return some;
  some.scale += column;
  some.column_sums += column;
  if (tile.weight_offsets) some.weight_offsets += column;
  some.grids += row;
  some.code_sums += row;
  if (tile.extra) some.extra += skipped;
  return some;
}

}  // namespace rc
