#include "products.h"

#include <omp.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <oneapi/dnnl/dnnl.hpp>
#include <stdexcept>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

namespace rc {
namespace {

using dnnl::memory;
using Type = memory::data_type;

// Primitives are small; this many shapes is more than any run of fixed image sizes needs.
constexpr size_t most_primitives = 512;
constexpr int widest_panel = 384;
// The rows for which oneDNN chooses the order of the weights, which all products then share.
constexpr int usual_rows = 96;

const dnnl::engine &engine() {
  static const dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

Type left_type(Factors factors) { return factors == Factors::Float ? Type::f32 : factors == Factors::Bfloat ? Type::bf16 : Type::u8; }
Type right_type(Factors factors) { return factors == Factors::Bytes ? Type::s8 : left_type(factors); }
Type sum_type(Factors factors) { return factors == Factors::Bytes ? Type::s32 : Type::f32; }

memory::desc matrix(int64_t rows, int64_t columns, Type type) { return {{rows, columns}, type, memory::dims{columns, 1}}; }

struct Product {
  dnnl::matmul::primitive_desc description;
  dnnl::matmul primitive;
};

// Products run inside the threads of the caller, so they must not divide themselves.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }

 private:
  int before_;
};

Product make(const Shape &shape, int rows, const memory::desc &weights) {
  const OneThread alone;
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const auto left = matrix(rows, shape.depth, left_type(shape.factors));
  const auto sums = matrix(rows, shape.width, sum_type(shape.factors));
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc description(engine(), left, weights, sums, attributes);
#else
  const dnnl::matmul::primitive_desc description(dnnl::matmul::desc(left, weights, sums), attributes, engine());
#endif
  return {description, dnnl::matmul(description)};
}

using Key = std::tuple<Factors, int, int, int>;  // factors, depth, width, rows

class Cache {
 public:
  std::shared_ptr<const Product> find(const Shape &shape, int rows) {
    const std::lock_guard lock(mutex_);
    return locked_find(shape, rows);
  }

  memory::desc weights(const Shape &shape) {
    const std::lock_guard lock(mutex_);
    return locked_weights(shape);
  }

 private:
  std::shared_ptr<const Product> locked_find(const Shape &shape, int rows) {
    const Key key{shape.factors, shape.depth, shape.width, rows};
    auto &found = products_[key];
    if (!found) {
      const auto made = std::make_shared<const Product>(make(shape, rows, locked_weights(shape)));
      if (products_.size() > most_primitives) products_.clear();
      return products_[key] = made;
    }
    return found;
  }

  memory::desc locked_weights(const Shape &shape) {
    const Key key{shape.factors, shape.depth, shape.width, 0};
    const auto found = orders_.find(key);
    if (found != orders_.end()) return found->second;
    const memory::desc any({shape.depth, shape.width}, right_type(shape.factors), memory::format_tag::any);
    return orders_[key] = make(shape, usual_rows, any).description.weights_desc();
  }

  std::mutex mutex_;
  std::map<Key, std::shared_ptr<const Product>> products_;
  std::map<Key, memory::desc> orders_;
};

Cache &cache() {
  static Cache shapes;
  return shapes;
}

int round_up(int value, int to) { return (value + to - 1) / to * to; }

// Copies between [outputs, inputs] and the padded, transposed panels.
void reorder(const Shape &shape, void *plain, void *packed, bool out) {
  const int size = factor_size(shape.factors);
  const auto order = cache().weights(shape);
  const memory::desc turned({shape.depth, shape.width}, right_type(shape.factors), memory::dims{1, shape.depth});
  std::vector<char> panel(static_cast<size_t>(shape.depth) * shape.width * size);
  dnnl::stream stream(engine());
  for (int number = 0; number < shape.panels; number++) {
    const int first = number * shape.width, count = std::max(0, std::min(shape.width, shape.outputs - first));
    const auto each = [&](auto copy) {
      for (int output = 0; output < count; output++)
        copy(panel.data() + static_cast<size_t>(output) * shape.depth * size,
             static_cast<char *>(plain) + (static_cast<size_t>(first) + output) * shape.inputs * size);
    };
    memory from(turned, engine(), panel.data()), to(order, engine(), static_cast<char *>(packed) + number * shape.panel_bytes());
    if (out) {
      dnnl::reorder(to, from).execute(stream, to, from);
      stream.wait();
      each([&](char *row, char *weights) { std::memcpy(weights, row, static_cast<size_t>(shape.inputs) * size); });
    } else {
      std::fill(panel.begin(), panel.end(), 0);
      each([&](char *row, char *weights) { std::memcpy(row, weights, static_cast<size_t>(shape.inputs) * size); });
      dnnl::reorder(from, to).execute(stream, from, to);
      stream.wait();
    }
  }
}

}  // namespace

Shape::Shape(Factors factors, int inputs, int outputs)
    : factors(factors), inputs(inputs), outputs(outputs), depth(round_up(inputs, 64 / factor_size(factors))) {
  if (inputs < 1 || outputs < 1) throw std::invalid_argument("a weight matrix needs rows and columns");
  panels = (outputs + widest_panel - 1) / widest_panel;
  width = round_up((outputs + panels - 1) / panels, 16);
}

int64_t Shape::panel_bytes() const { return round_up(static_cast<int>(cache().weights(*this).get_size()), 64); }

void pack(const Shape &shape, const void *weights, void *packed) { reorder(shape, const_cast<void *>(weights), packed, false); }

void unpack(const Shape &shape, const void *packed, void *weights) { reorder(shape, weights, const_cast<void *>(packed), true); }

struct TileProduct::State {
  std::shared_ptr<const Product> product;
  dnnl::stream stream;
  memory rows, panel, sums;
  std::vector<char> scratch;
  std::unordered_map<int, memory> arguments;
};

TileProduct::TileProduct(const Shape &shape, int rows)
    : rows_(rows), state_(new State{cache().find(shape, rows), dnnl::stream(engine()), {}, {}, {}, {}, {}}) {
  const auto &description = state_->product->description;
  state_->rows = memory(description.src_desc(), engine(), nullptr);
  state_->panel = memory(description.weights_desc(), engine(), nullptr);
  state_->sums = memory(description.dst_desc(), engine(), nullptr);
  state_->scratch.resize(description.scratchpad_desc().get_size() + 1);
  state_->arguments = {
      {DNNL_ARG_SRC, state_->rows},
      {DNNL_ARG_WEIGHTS, state_->panel},
      {DNNL_ARG_DST, state_->sums},
      {DNNL_ARG_SCRATCHPAD, memory(description.scratchpad_desc(), engine(), state_->scratch.data())},
  };
}

TileProduct::TileProduct(TileProduct &&) noexcept = default;
TileProduct::~TileProduct() = default;

void TileProduct::run(const void *rows, const void *packed_panel, void *sums) {
  state_->rows.set_data_handle(const_cast<void *>(rows));
  state_->panel.set_data_handle(const_cast<void *>(packed_panel));
  state_->sums.set_data_handle(sums);
  state_->product->primitive.execute(state_->stream, state_->arguments);
  state_->stream.wait();
}

namespace {

// Instruction sets are sets of bits, of which a later one has those of its forerunners.
bool has(dnnl::cpu_isa wanted) {
  const auto bits = static_cast<int>(wanted);
  return (static_cast<int>(dnnl::get_effective_cpu_isa()) & bits) == bits;
}

}  // namespace

std::string describe_products() {
  static const std::pair<dnnl::cpu_isa, const char *> names[]{
      {dnnl::cpu_isa::avx512_core_amx, "AMX"},
      {dnnl::cpu_isa::avx512_core_bf16, "AVX-512 with VNNI and bfloat16"},
      {dnnl::cpu_isa::avx512_core_vnni, "AVX-512 with VNNI"},
      {dnnl::cpu_isa::avx512_core, "AVX-512"},
      {dnnl::cpu_isa::avx2_vnni, "AVX2 with VNNI"},
      {dnnl::cpu_isa::avx2, "AVX2"},
      {dnnl::cpu_isa::sse41, "SSE4.1"},
  };
  const auto version = dnnl::version();
  const auto name = std::find_if(std::begin(names), std::end(names), [](const auto &name) { return has(name.first); });
  return "oneDNN " + std::to_string(version->major) + "." + std::to_string(version->minor) + "." + std::to_string(version->patch) +
         (name == std::end(names) ? "" : std::string(", ") + name->second);
}

namespace {

// Without the dot-product instructions, products of bytes are summed in 16 bits first, which may saturate; what oneDNN
// then computes is of no use here. The largest bytes tell.
bool bytes_are_exact() {
  const Shape shape(Factors::Bytes, 256, 32);
  const int rows = 8;
  std::vector<uint8_t> left(static_cast<size_t>(rows) * shape.depth, 255);
  std::vector<int8_t> right(static_cast<size_t>(shape.inputs) * shape.outputs);
  for (size_t i = 0; i < right.size(); i++) right[i] = i / shape.inputs % 2 ? -128 : 127;
  std::vector<char> packed(shape.bytes());
  std::vector<int32_t> sums(static_cast<size_t>(rows) * shape.width);
  pack(shape, right.data(), packed.data());
  TileProduct(shape, rows).run(left.data(), packed.data(), sums.data());
  for (int row = 0; row < rows; row++)
    for (int output = 0; output < shape.outputs; output++)
      if (sums[row * shape.width + output] != 255 * shape.inputs * (output % 2 ? -128 : 127)) return false;
  return true;
}

}  // namespace

std::string problem_with(Factors factors) {
  if (factors == Factors::Bytes && !bytes_are_exact()) return "this processor has no dot product of bytes (VNNI), without which 8-bit sums overflow";
#ifdef __x86_64__
  if (factors == Factors::Bfloat && !has(dnnl::cpu_isa::avx512_core_bf16)) return "this processor has no bfloat16 products";
#endif
  return {};
}

}  // namespace rc
