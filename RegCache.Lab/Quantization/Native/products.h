// Matrix products on oneDNN, versions 2 and 3: rows [M, depth] times weights [outputs, inputs]^T, weights packed once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace rc {

// Of both factors. The sums of bytes are int32, all others float.
enum class Factors : int { Float, Bfloat, Bytes };

inline int factor_size(Factors factors) { return factors == Factors::Float ? 4 : factors == Factors::Bfloat ? 2 : 1; }

// How weights are cut and padded: into panels of equal width, whose sums stay in the second-level cache.
struct Shape {
  Shape(Factors factors, int inputs, int outputs);

  Factors factors;
  int inputs, outputs;
  int depth;          // inputs, filled up with zeros
  int panels, width;  // of a panel, in outputs
  int padded() const { return panels * width; }
  int64_t panel_bytes() const;
  int64_t bytes() const { return panel_bytes() * panels; }
};

// Weights [outputs, inputs] in oneDNN's own order for this processor; bytes are signed.
void pack(const Shape &shape, const void *weights, void *packed);
void unpack(const Shape &shape, const void *packed, void *weights);

// The product of up to `most_rows` rows with one panel, for use by one thread.
class TileProduct {
 public:
  TileProduct(const Shape &shape, int rows);
  TileProduct(TileProduct &&) noexcept;
  ~TileProduct();

  int rows() const { return rows_; }

  // rows [rows][depth] (bytes are unsigned) x panel -> sums [rows][width]
  void run(const void *rows, const void *packed_panel, void *sums);

 private:
  struct State;
  int rows_;
  std::unique_ptr<State> state_;
};

// Version and instruction set of oneDNN, for reports.
std::string describe_products();

// Why this machine should not use these factors; empty where it may.
std::string problem_with(Factors factors);

}  // namespace rc
