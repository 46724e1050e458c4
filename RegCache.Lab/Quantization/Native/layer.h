// A linear layer on tiles of rows: what its input needs, its product, and what becomes of the sums.
#pragma once

#include <vector>

#include "api.h"
#include "arena.h"
#include "kernels.h"
#include "products.h"

namespace rc {

// A value on the way to a product is not finite.
struct NotFinite {
  int64_t row;
  int layer;
};

struct Tile {
  int first, count;
};

// Rows cut into equal tiles, a whole number for each thread.
struct Tiling {
  Tiling(int rows, int most, int threads);
  Tile tile(int index) const;

  int rows, tile_rows, count;
};

// Seconds of one thread by kind of work.
class Stopwatch {
 public:
  void start();
  // Counts the time since the last call.
  void add(double rc_times::*kind);
  const rc_times &times() const { return times_; }

 private:
  double last_ = 0;
  rc_times times_{};
};

void count_times(const rc_times &times);

// One layer of a call, shared by its threads.
class Layer {
 public:
  // `rows` are all rows of the input; of images of `length` rows each.
  Layer(const rc_linear &linear, int number, const Rows &rows, int length);

  // Whether ranges of the values must be known before any of them can be encoded.
  bool needs_ranges() const { return bytes() && (linear.scope == 1 || linear.scope == 2); }
  bool bytes() const { return shape.factors == Factors::Bytes; }
  int most_rows() const;

  void place(Arena &arena);

  // Resets ranges to empty, for values that arrive in parts.
  void clear(Tile rows);
  void measure(Tile rows);
  // Grids of whole images from their ranges (or, in the scope of the batch, of all rows).
  void settle(Tile rows);
  // One thread's factors of a product: codes or numbers [count][shape.depth].
  void prepare(Tile rows, class Worker &worker) const;

  const rc_linear &linear;
  Shape shape;
  Rows rows;
  Range *ranges = nullptr;
  RowGrid *grids = nullptr;

 private:
  RowGrid grid(Range range, int row) const;

  int number_, length_;
};

// What one thread needs for one layer.
class Worker {
 public:
  Worker(const Layer &layer, int tile_rows);
  void place(Arena &arena);

  // Multiplies the prepared rows by every panel: use(first column, columns, how to finish them), which may add a target.
  template <typename Use> void multiply(int count, Stopwatch &clock, Use use) {
    TileProduct &tile = product(count);
    const auto &shape = layer.shape;
    const int64_t panel_bytes = shape.panel_bytes();
    for (int panel = 0; panel < shape.panels; panel++) {
      tile.run(rows, static_cast<const char *>(layer.linear.packed) + panel * panel_bytes, sums);
      clock.add(&rc_times::product);
      const int first = panel * shape.width, columns = shape.outputs - first < shape.width ? shape.outputs - first : shape.width;
      if (columns > 0) use(first, columns, finish(first, count));
      clock.add(&rc_times::finish);
    }
  }

  const Layer &layer;
  void *rows = nullptr, *sums = nullptr;
  int *code_sums = nullptr, *clipped_count = nullptr;
  uint16_t *clipped = nullptr;
  RowGrid *grids = nullptr;

 private:
  TileProduct &product(int count);
  Finish finish(int first, int count);

  int tile_rows_;
  float *extra_ = nullptr;
  std::vector<TileProduct> products_;
};

// The workers of all threads.
class Workers {
 public:
  Workers(const Layer &layer, int tile_rows, int threads) {
    for (int number = 0; number < threads; number++) workers_.emplace_back(layer, tile_rows);
  }

  void place(Arena &arena) {
    for (Worker &worker : workers_) worker.place(arena);
  }

  Worker &operator[](int thread) { return workers_[thread]; }

 private:
  std::vector<Worker> workers_;
};

// A tile's finish restricted to some of its rows and columns.
Finish part(const Finish &tile, int row, int rows, int column, int columns);

}  // namespace rc
