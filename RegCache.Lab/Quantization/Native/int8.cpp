// The C interface: what goes wrong inside becomes a status and a sentence.
#include <algorithm>
#include <cstring>
#include <exception>
#include <string>

#include "block.h"
#include "layer.h"
#include "products.h"

namespace {

thread_local std::string last_error;

constexpr int failed = 1, not_finite = 2;

template <typename Work> int guard(Work work, rc_place *place = nullptr) {
  try {
    work();
    return 0;
  } catch (const rc::NotFinite &found) {
    last_error = "an activation is not finite";
    if (place) *place = {found.row, found.layer};
    return not_finite;
  } catch (const std::exception &error) {
    last_error = error.what();
  } catch (...) {
    last_error = "unknown failure";
  }
  return failed;
}

void give(const std::string &text, char *to, int32_t capacity) {
  const auto count = std::min(text.size(), static_cast<size_t>(capacity) - 1);
  std::memcpy(to, text.data(), count);
  to[count] = 0;
}

rc::Shape shape(int32_t factors, int32_t inputs, int32_t outputs) { return {static_cast<rc::Factors>(factors), inputs, outputs}; }

}  // namespace

RC_API const char *rc_error() { return last_error.c_str(); }

RC_API int rc_describe(char *text, int32_t capacity) {
  return guard([&] { give(rc::describe_products(), text, capacity); });
}

RC_API int rc_problem(int32_t factors, char *text, int32_t capacity) {
  return guard([&] { give(rc::problem_with(static_cast<rc::Factors>(factors)), text, capacity); });
}

RC_API int rc_size(int32_t factors, int32_t inputs, int32_t outputs, int64_t *bytes, int32_t *padded) {
  return guard([&] {
    const auto wanted = shape(factors, inputs, outputs);
    *bytes = wanted.bytes();
    *padded = wanted.padded();
  });
}

RC_API int rc_pack(int32_t factors, int32_t inputs, int32_t outputs, const void *weights, void *packed) {
  return guard([&] { rc::pack(shape(factors, inputs, outputs), weights, packed); });
}

RC_API int rc_unpack(int32_t factors, int32_t inputs, int32_t outputs, const void *packed, void *weights) {
  return guard([&] { rc::unpack(shape(factors, inputs, outputs), packed, weights); });
}

RC_API int rc_apply(const rc_linear *layer, const rc_stream *stream, int32_t threads, rc_place *place) {
  return guard([&] { rc::apply(*layer, *stream, nullptr, nullptr, threads); }, place);
}

RC_API int rc_inspect(const rc_linear *layer, const rc_stream *stream, uint8_t *codes, int32_t *sums, int32_t threads, rc_place *place) {
  return guard([&] { rc::apply(*layer, *stream, codes, sums, threads); }, place);
}

RC_API int rc_multiply(const rc_linear *layer, int32_t rows, int32_t threads) {
  return guard([&] { rc::multiply(*layer, rows, threads); });
}

RC_API int rc_attend(
    const rc_stream *stream, const rc_norm *norm, const rc_linear *in, const rc_attention *attention, const rc_linear *out, const float *gain,
    int32_t threads, rc_place *place) {
  return guard([&] { rc::attend(*stream, *norm, *in, *attention, *out, gain, threads); }, place);
}

RC_API int rc_feed(
    const rc_stream *stream, const rc_norm *norm, const rc_linear *in, int32_t activation, const rc_linear *out, const float *gain, int32_t threads,
    rc_place *place) {
  return guard([&] { rc::feed(*stream, *norm, *in, static_cast<rc::Activation>(activation), *out, gain, threads); }, place);
}
