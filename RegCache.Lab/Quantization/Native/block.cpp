// The two halves of a transformer block. All threads work on tiles of rows; what must be known of all rows before any can
// go on (the range of an activation under one scale) is the only reason to wait.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <exception>
#include <mutex>

#include <omp.h>

#include "block.h"
#include "layer.h"

namespace rc {
namespace {

// Queries, keys and values of this many bytes are made and used before the next: they stay in the shared cache.
constexpr int64_t group_bytes = 4 << 20;
// Rows measured at a time.
constexpr int measured_rows = 64;

// Keeps the first exception of any thread, since none may leave a parallel region.
class Failure {
 public:
  template <typename Work> void guard(Work work) {
    if (failed_) return;
    try {
      work();
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failed_.exchange(true)) first_ = std::current_exception();
    }
  }

  void rethrow() const {
    if (failed_) std::rethrow_exception(first_);
  }

 private:
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  std::exception_ptr first_;
};

// One thread of a call.
struct Thread {
  Failure &failure;
  Stopwatch clock{};
  int number = omp_get_thread_num();

  ~Thread() { count_times(clock.times()); }
};

// Divides work among the threads of the enclosing parallel region, and waits for its end.
template <typename Work> void share(int count, Thread &thread, Work work) {
#pragma omp for schedule(dynamic)
  for (int index = 0; index < count; index++)
    thread.failure.guard([&] {
      thread.clock.start();
      work(index);
    });
}

void measure_all(Layer &layer, Tile rows, Thread &thread) {
  const int parts = (rows.count + measured_rows - 1) / measured_rows;
  share(parts, thread, [&](int index) {
    const int first = index * measured_rows;
    layer.measure({rows.first + first, std::min(measured_rows, rows.count - first)});
    thread.clock.add(&rc_times::measure);
  });
}

void settle(Layer &layer, Tile rows, Thread &thread) {
#pragma omp single
  thread.failure.guard([&] { layer.settle(rows); });
}

// The grids of a layer's codes, where they depend on the values of all rows.
void find_grids(Layer &layer, Tile rows, Thread &thread) {
  if (!layer.needs_ranges()) return;
  measure_all(layer, rows, thread);
  settle(layer, rows, thread);
}

Rows stream_rows(const rc_stream &stream, const rc_norm *norm) {
  return {stream.from, stream.width, stream.images * stream.length, stream.width, stream.narrow != 0,
          norm ? norm->gain : nullptr, norm ? norm->offset : nullptr, norm ? norm->epsilon : 0};
}

Rows float_rows(const float *data, int count, int width) { return {data, width, count, width, false, nullptr, nullptr, 0}; }

// The finish of a tile that goes back into the stream.
Finish back_to_stream(Finish tile, const rc_stream &stream, int row, int column, int columns, const float *gain) {
  const int64_t start = (static_cast<int64_t>(row) * stream.width + column) * (stream.narrow ? 2 : 4);
  tile.columns = columns;
  tile.gain = gain ? gain + column : nullptr;
  tile.residual = static_cast<const char *>(stream.from) + start;
  tile.target = static_cast<char *>(stream.to) + start;
  tile.target_stride = stream.width;
  tile.narrow = stream.narrow != 0;
  return tile;
}

// A layer whose result is added to the stream.
void add_to_stream(Layer &layer, Worker &worker, const Tiling &tiling, const rc_stream &stream, const float *gain, Thread &thread) {
  // From the end, which is what the cache still holds.
  share(tiling.count, thread, [&](int index) {
    const Tile tile = tiling.tile(tiling.count - 1 - index);
    layer.prepare(tile, worker);
    thread.clock.add(&rc_times::encode);
    worker.multiply(tile.count, thread.clock, [&](int column, int columns, const Finish &sums) {
      kernels().finish(back_to_stream(sums, stream, tile.first, column, columns, gain));
    });
  });
}

// Queries, keys and values of some images: [3][images][heads][length][width].
struct Heads {
  float *data;
  int images, heads, length, width;

  int64_t head_size() const { return static_cast<int64_t>(length) * width; }
  float *head(int which, int image, int head) const { return data + ((static_cast<int64_t>(which) * images + image) * heads + head) * head_size(); }

  // Takes a tile of the input projection, whose columns are [3][heads][width].
  void take(const Finish &tile, int row, int column, int columns) const {
    for (int done = 0; done < tile.rows;) {
      const int image = (row + done) / length, token = (row + done) % length;
      const int rows = std::min(tile.rows - done, length - token);
      for (int at = 0; at < columns;) {
        const int which = (column + at) / (heads * width), number = (column + at) / width % heads, channel = (column + at) % width;
        const int count = std::min(columns - at, width - channel);
        Finish some = part(tile, done, rows, at, count);
        some.target = head(which, image, number) + static_cast<int64_t>(token) * width + channel;
        some.target_stride = width;
        kernels().finish(some);
        at += count;
      }
      done += rows;
    }
  }
};

void attend_head(const Heads &heads, const rc_attention &attention, int first_image, int image, int number, float *mixed, float *scratch) {
  const int64_t size = heads.head_size(), place = (static_cast<int64_t>(first_image + image) * heads.heads + number) * size;
  if (attention.queries) std::memcpy(attention.queries + place, heads.head(0, image, number), size * sizeof(float));
  if (attention.keys) std::memcpy(attention.keys + place, heads.head(1, image, number), size * sizeof(float));
  const int width = heads.heads * heads.width;
  Head head{};
  head.queries = heads.head(0, image, number);
  head.keys = heads.head(1, image, number);
  head.values = heads.head(2, image, number);
  head.stride = heads.width;
  head.length = heads.length;
  head.width = heads.width;
  head.prefix = attention.prefix;
  head.prefix_keys = attention.prefix_keys + number * attention.prefix_head;
  head.prefix_values = attention.prefix_values + number * attention.prefix_head;
  head.prefix_stride = attention.prefix_row;
  if (attention.bias) {
    head.bias = attention.bias + (first_image + image) * attention.bias_image + number * attention.bias_head;
    head.bias_row = attention.bias_row;
    head.bias_column = attention.bias_column;
  }
  head.factor = static_cast<float>(1 / std::sqrt(static_cast<double>(heads.width)));
  head.mixed = mixed + static_cast<int64_t>(first_image + image) * heads.length * width + number * heads.width;
  head.mixed_stride = width;
  head.scratch = scratch;
  kernels().attend(head);
}

}  // namespace

void apply(const rc_linear &linear, const rc_stream &stream, uint8_t *codes, int32_t *sums, int threads) {
  Layer layer(linear, 0, stream_rows(stream, nullptr), stream.length);
  const int rows = layer.rows.count;
  if (rows == 0) return;
  const Tiling tiling(rows, layer.most_rows(), threads);
  Workers workers(layer, tiling.tile_rows, threads);
  BorrowedArena memory;
  memory->arrange([&](Arena &arena) {
    layer.place(arena);
    workers.place(arena);
  });
  Failure failure;
#pragma omp parallel num_threads(threads)
  {
    Thread thread{failure};
    Worker &worker = workers[thread.number];
    find_grids(layer, {0, rows}, thread);
    share(tiling.count, thread, [&](int index) {
      const Tile tile = tiling.tile(index);
      layer.prepare(tile, worker);
      thread.clock.add(&rc_times::encode);
      for (int row = 0; codes && row < tile.count; row++)
        std::memcpy(codes + (tile.first + row) * static_cast<int64_t>(linear.inputs), static_cast<uint8_t *>(worker.rows) + row * static_cast<int64_t>(layer.shape.depth), linear.inputs);
      worker.multiply(tile.count, thread.clock, [&](int column, int columns, Finish finish) {
        for (int row = 0; sums && row < tile.count; row++)
          std::memcpy(sums + (tile.first + row) * static_cast<int64_t>(linear.outputs) + column,
                      static_cast<const int32_t *>(finish.products) + row * static_cast<int64_t>(finish.stride), columns * sizeof(int32_t));
        if (sums) return;
        finish.columns = columns;
        finish.narrow = stream.narrow != 0;
        finish.target = static_cast<char *>(stream.to) + (static_cast<int64_t>(tile.first) * linear.outputs + column) * (stream.narrow ? 2 : 4);
        finish.target_stride = linear.outputs;
        kernels().finish(finish);
      });
    });
  }
  failure.rethrow();
}

void multiply(const rc_linear &linear, int rows, int threads) {
  const Layer layer(linear, 0, float_rows(nullptr, rows, linear.inputs), rows);
  const Tiling tiling(rows, layer.most_rows(), threads);
  Workers workers(layer, tiling.tile_rows, threads);
  BorrowedArena memory;
  memory->arrange([&](Arena &arena) { workers.place(arena); });
  Failure failure;
#pragma omp parallel num_threads(threads)
  {
    Thread thread{failure};
    Worker &worker = workers[thread.number];
    std::memset(worker.rows, 0, static_cast<size_t>(tiling.tile_rows) * layer.shape.depth * factor_size(layer.shape.factors));
    share(tiling.count, thread, [&](int index) { worker.multiply(tiling.tile(index).count, thread.clock, [](int, int, const Finish &) {}); });
  }
  failure.rethrow();
}

void attend(const rc_stream &stream, const rc_norm &norm, const rc_linear &in, const rc_attention &attention, const rc_linear &out, const float *gain, int threads) {
  const int length = stream.length, width = stream.width, rows = stream.images * length;
  if (rows == 0) return;
  const int64_t image_bytes = int64_t{3} * length * width * sizeof(float);
  const int most_images = static_cast<int>(std::clamp<int64_t>(std::max<int64_t>(group_bytes / image_bytes, threads), 1, stream.images));
  const int groups = (stream.images + most_images - 1) / most_images, images = (stream.images + groups - 1) / groups;

  Layer first(in, 0, stream_rows(stream, &norm), length);
  Layer second(out, 1, float_rows(nullptr, rows, width), length);
  const Tiling tiles_out(rows, second.most_rows(), threads), tiles_in(images * length, first.most_rows(), threads);
  Workers workers_in(first, tiles_in.tile_rows, threads), workers_out(second, tiles_out.tile_rows, threads);
  std::vector<float *> scratch(threads);
  Heads heads{nullptr, images, attention.heads, length, width / attention.heads};
  float *mixed;
  BorrowedArena memory;
  memory->arrange([&](Arena &arena) {
    first.place(arena);
    second.place(arena);
    // Attention reads whole groups of rows, the last one beyond the end.
    heads.data = arena.take<float>((static_cast<size_t>(3) * images * length + 8) * width);
    mixed = arena.take<float>(static_cast<size_t>(rows) * width);
    workers_in.place(arena);
    workers_out.place(arena);
    for (float *&own : scratch) own = arena.take<float>(head_scratch(length, attention.prefix, heads.width));
  });
  second.rows.data = mixed;
  Failure failure;
#pragma omp parallel num_threads(threads)
  {
    Thread thread{failure};
    Worker &worker = workers_in[thread.number];
    find_grids(first, {0, rows}, thread);
    for (int group = 0; group < groups; group++) {
      const int first_image = group * images, count = std::min(images, stream.images - first_image), first_row = first_image * length;
      // The last group may be smaller, but its tiles must not be larger than those that there is room for.
      const Tiling tiling(count * length, tiles_in.tile_rows, threads);
      share(tiling.count, thread, [&](int index) {
        const Tile tile = tiling.tile(index);
        first.prepare({first_row + tile.first, tile.count}, worker);
        thread.clock.add(&rc_times::encode);
        worker.multiply(tile.count, thread.clock, [&](int column, int columns, const Finish &sums) { heads.take(sums, tile.first, column, columns); });
      });
      share(count * heads.heads, thread, [&](int index) {
        attend_head(heads, attention, first_image, index / heads.heads, index % heads.heads, mixed, scratch[thread.number]);
        thread.clock.add(&rc_times::attention);
      });
      if (second.needs_ranges()) measure_all(second, {first_row, count * length}, thread);
    }
    if (second.needs_ranges()) settle(second, {0, rows}, thread);
    add_to_stream(second, workers_out[thread.number], tiles_out, stream, gain, thread);
  }
  failure.rethrow();
}

namespace {

// Both layers of the MLP tile by tile: nothing has to be known of other rows in between.
void feed_through(Layer &first, Layer &second, const rc_stream &stream, Activation activation, const float *gain, int threads) {
  const int rows = first.rows.count, hidden = first.shape.outputs;
  const Tiling tiling(rows, std::min(first.most_rows(), second.most_rows()), threads);
  Workers workers_in(first, tiling.tile_rows, threads), workers_out(second, tiling.tile_rows, threads);
  // Float factors are made where the second product reads them; codes are made from a tile of floats.
  std::vector<float *> tiles(threads);
  BorrowedArena memory;
  memory->arrange([&](Arena &arena) {
    first.place(arena);
    second.place(arena);
    workers_in.place(arena);
    workers_out.place(arena);
    for (float *&own : tiles) own = second.bytes() ? arena.take<float>(static_cast<size_t>(tiling.tile_rows) * hidden) : nullptr;
  });
  Failure failure;
#pragma omp parallel num_threads(threads)
  {
    Thread thread{failure};
    Worker &in = workers_in[thread.number], &out = workers_out[thread.number];
    Layer own = second;
    find_grids(first, {0, rows}, thread);
    share(tiling.count, thread, [&](int index) {
      const Tile tile = tiling.tile(index);
      const bool narrow = second.shape.factors == Factors::Bfloat;
      char *target = second.bytes() ? reinterpret_cast<char *>(tiles[thread.number]) : static_cast<char *>(out.rows);
      const int stride = second.bytes() ? hidden : second.shape.depth, size = narrow ? 2 : 4;
      if (!second.bytes() && (stride > hidden || tile.count < tiling.tile_rows)) std::memset(target, 0, static_cast<size_t>(tiling.tile_rows) * stride * size);
      first.prepare(tile, in);
      thread.clock.add(&rc_times::encode);
      in.multiply(tile.count, thread.clock, [&](int column, int columns, Finish sums) {
        sums.columns = columns;
        sums.activation = activation;
        sums.target = target + static_cast<int64_t>(column) * size;
        sums.target_stride = stride;
        sums.narrow = narrow;
        kernels().finish(sums);
      });
      if (second.bytes()) {
        own.rows.data = tiles[thread.number] - static_cast<int64_t>(tile.first) * hidden;
        own.prepare(tile, out);
        thread.clock.add(&rc_times::encode);
      }
      out.multiply(tile.count, thread.clock, [&](int column, int columns, const Finish &sums) {
        kernels().finish(back_to_stream(sums, stream, tile.first, column, columns, gain));
      });
    });
  }
  failure.rethrow();
}

// The first layer on all rows, then the second: its codes depend on the range of all of them.
void feed_in_turn(Layer &first, Layer &second, const rc_stream &stream, Activation activation, const float *gain, int threads) {
  const int rows = first.rows.count, width = first.shape.outputs;
  const Tiling tiles_in(rows, first.most_rows(), threads), tiles_out(rows, second.most_rows(), threads);
  Workers workers_in(first, tiles_in.tile_rows, threads), workers_out(second, tiles_out.tile_rows, threads);
  float *hidden;
  BorrowedArena memory;
  memory->arrange([&](Arena &arena) {
    first.place(arena);
    second.place(arena);
    hidden = arena.take<float>(static_cast<size_t>(rows) * width);
    workers_in.place(arena);
    workers_out.place(arena);
  });
  second.rows.data = hidden;
  Failure failure;
#pragma omp parallel num_threads(threads)
  {
    Thread thread{failure};
    Worker &in = workers_in[thread.number];
    find_grids(first, {0, rows}, thread);
    share(tiles_in.count, thread, [&](int index) {
      const Tile tile = tiles_in.tile(index);
      second.clear(tile);
      first.prepare(tile, in);
      thread.clock.add(&rc_times::encode);
      in.multiply(tile.count, thread.clock, [&](int column, int columns, Finish sums) {
        sums.columns = columns;
        sums.activation = activation;
        sums.target = hidden + static_cast<int64_t>(tile.first) * width + column;
        sums.target_stride = width;
        sums.ranges = second.ranges + tile.first;
        kernels().finish(sums);
      });
    });
    settle(second, {0, rows}, thread);
    add_to_stream(second, workers_out[thread.number], tiles_out, stream, gain, thread);
  }
  failure.rethrow();
}

}  // namespace

void feed(const rc_stream &stream, const rc_norm &norm, const rc_linear &in, Activation activation, const rc_linear &out, const float *gain, int threads) {
  Layer first(in, 0, stream_rows(stream, &norm), stream.length);
  Layer second(out, 1, float_rows(nullptr, first.rows.count, in.outputs), stream.length);
  if (first.rows.count == 0) return;
  if (second.needs_ranges())
    feed_in_turn(first, second, stream, activation, gain, threads);
  else
    feed_through(first, second, stream, activation, gain, threads);
}

}  // namespace rc
