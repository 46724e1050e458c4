// The C face that the managed TorchSharp stand-in calls: libtorch's operator dispatcher, called by schema name, plus
// the few things that are not operators (a tensor's memory and metadata, autograd, random state, threads, devices).
//
// A tensor crosses the border as its TensorImpl pointer. What a function returns is owned by the caller, who gives it
// back with tsb_release; what a function takes is borrowed. No function lets an exception out: a status of 0 (or a null
// pointer, where so said) means failure, and tsb_last_error then has the first line of libtorch's message.
//
// Only headers and members that exist in libtorch 1.13 up to 2.11 are used.

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/GradMode.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/csrc/api/include/torch/version.h>
#include <torch/csrc/autograd/autograd.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#define TSB_EXPORT extern "C" __attribute__((visibility("default")))

namespace {

// The managed side has the same list (Interop/Value.cs).
enum Tag : int32_t {
  kAbsent = 0,  // take the schema's default
  kNone,
  kTensor,
  kInt,
  kDouble,
  kBool,
  kString,
  kIntList,
  kDoubleList,
  kBoolList,
  kTensorList,
  kOptionalTensorList,
  kDevice,
  kGenerator,
};

struct Value {
  int32_t tag;
  int32_t count;
  union {
    int64_t integer;
    double real;
    void* pointer;
  };
};
static_assert(sizeof(Value) == 16, "the managed side lays Value out in 16 bytes");

struct Operator {
  c10::OperatorHandle handle;
  std::vector<c10::IValue> defaults;
  std::vector<bool> has_default;
  std::vector<bool> is_float;
};

thread_local std::string last_error;
std::atomic<int64_t> live_handles{0};

using Impl = c10::TensorImpl;
using OptionalTensors = decltype(std::declval<const c10::IValue&>().toOptionalTensorList());

void remember(const char* message) {
  const std::string text(message == nullptr ? "" : message);
  last_error = text.substr(0, text.find('\n'));
  if (last_error.empty()) {
    last_error = "libtorch failed without a message.";
  }
}

// Runs `body`; an exception becomes the last error and `failed`.
template <typename Body, typename Result>
Result guarded(Result failed, Body&& body) noexcept {
  try {
    return body();
  } catch (const c10::Error& error) {
    remember(error.what_without_backtrace());
  } catch (const std::exception& error) {
    remember(error.what());
  } catch (...) {
    remember("libtorch threw something that is not an exception.");
  }
  return failed;
}

at::Tensor borrow(void* handle) {
  if (handle == nullptr) {
    return at::Tensor();
  }
  return at::Tensor(c10::intrusive_ptr<Impl, c10::UndefinedTensorImpl>::reclaim_copy(static_cast<Impl*>(handle)));
}

void* release(at::Tensor tensor) {
  if (!tensor.defined()) {
    return nullptr;
  }
  live_handles.fetch_add(1, std::memory_order_relaxed);
  return tensor.unsafeReleaseTensorImpl();
}

std::vector<at::Tensor> borrow_all(void* const* handles, int32_t count) {
  std::vector<at::Tensor> tensors;
  tensors.reserve(count);
  for (int32_t i = 0; i < count; ++i) {
    tensors.push_back(borrow(handles[i]));
  }
  return tensors;
}

c10::Device device_of(int64_t packed) {
  return c10::Device(static_cast<c10::DeviceType>(packed >> 32), static_cast<c10::DeviceIndex>(static_cast<int32_t>(packed)));
}

c10::IValue to_ivalue(const Value& value, bool wants_float) {
  switch (value.tag) {
    case kNone:
      return c10::IValue();
    case kTensor:
      return borrow(value.pointer);
    case kInt:
      return wants_float ? c10::IValue(static_cast<double>(value.integer)) : c10::IValue(value.integer);
    case kDouble:
      return value.real;
    case kBool:
      return value.integer != 0;
    case kString:
      return std::string(static_cast<const char*>(value.pointer), value.count);
    case kIntList:
      return at::IntArrayRef(static_cast<const int64_t*>(value.pointer), value.count);
    case kDoubleList: {
      const auto* first = static_cast<const double*>(value.pointer);
      return std::vector<double>(first, first + value.count);
    }
    case kBoolList: {
      c10::List<bool> list;
      for (int32_t i = 0; i < value.count; ++i) {
        list.push_back(static_cast<const uint8_t*>(value.pointer)[i] != 0);
      }
      return list;
    }
    case kTensorList: {
      c10::List<at::Tensor> list;
      list.reserve(value.count);
      for (int32_t i = 0; i < value.count; ++i) {
        list.push_back(borrow(static_cast<void**>(value.pointer)[i]));
      }
      return list;
    }
    case kOptionalTensorList: {
      OptionalTensors list;
      list.reserve(value.count);
      for (int32_t i = 0; i < value.count; ++i) {
        void* handle = static_cast<void**>(value.pointer)[i];
        list.push_back(handle == nullptr ? OptionalTensors::value_type() : OptionalTensors::value_type(borrow(handle)));
      }
      return list;
    }
    case kDevice:
      return device_of(value.integer);
    case kGenerator:
      return *static_cast<at::Generator*>(value.pointer);
    default:
      TORCH_CHECK(false, "The bridge met an argument of unknown kind ", value.tag, ".");
  }
}

// A list of tensors becomes several results in a row, so the managed side never sees a native container.
void append_result(const c10::IValue& result, Value* results, int32_t capacity, int32_t& used) {
  const auto next = [&](Tag tag) -> Value& {
    TORCH_CHECK(used < capacity, "The bridge has room for ", capacity, " results only.");
    Value& value = results[used++];
    value.tag = tag;
    value.count = 0;
    value.pointer = nullptr;
    return value;
  };
  const auto tensor = [&](const at::Tensor& item) { next(item.defined() ? kTensor : kNone).pointer = release(item); };
  if (result.isTensor()) {
    tensor(result.toTensor());
  } else if (result.isTensorList()) {
    for (const at::Tensor& item : result.toTensorVector()) {
      tensor(item);
    }
  } else if (result.isInt()) {
    next(kInt).integer = result.toInt();
  } else if (result.isDouble()) {
    next(kDouble).real = result.toDouble();
  } else if (result.isBool()) {
    next(kBool).integer = result.toBool() ? 1 : 0;
  } else {
    TORCH_CHECK(false, "The bridge cannot pass on a result of kind ", result.tagKind(), ".");
  }
}

using Stack = std::vector<c10::IValue>;

void call(const Operator& op, const Value* arguments, int32_t count, Stack& stack) {
  const auto wanted = static_cast<int32_t>(op.defaults.size());
  TORCH_CHECK(count <= wanted, op.handle.operator_name(), " takes ", wanted, " arguments but got ", count, ".");
  stack.reserve(wanted);
  for (int32_t i = 0; i < wanted; ++i) {
    if (i < count && arguments[i].tag != kAbsent) {
      stack.push_back(to_ivalue(arguments[i], op.is_float[i]));
    } else {
      TORCH_CHECK(op.has_default[i], op.handle.operator_name(), " needs its argument '",
                  op.handle.schema().arguments()[i].name(), "'.");
      stack.push_back(op.defaults[i]);
    }
  }
  op.handle.callBoxed(stack);
}

// The thread's stack keeps its memory from call to call, but never its contents.
struct BorrowedStack {
  Stack& stack;
  BorrowedStack() : stack(storage()) { stack.clear(); }
  ~BorrowedStack() { stack.clear(); }
  static Stack& storage() {
    thread_local Stack stack;
    return stack;
  }
};

const at::Generator& default_generator(int64_t device) {
  return at::globalContext().defaultGenerator(device_of(device));
}

}  // namespace

TSB_EXPORT const char* tsb_last_error() { return last_error.c_str(); }

TSB_EXPORT const char* tsb_version() { return TORCH_VERSION; }

TSB_EXPORT int64_t tsb_live_handles() { return live_handles.load(); }

// Gives a tensor back.
TSB_EXPORT void tsb_release(void* tensor) {
  live_handles.fetch_sub(1, std::memory_order_relaxed);
  c10::intrusive_ptr<Impl, c10::UndefinedTensorImpl>::reclaim(static_cast<Impl*>(tensor));
}

// ---- Operators -------------------------------------------------------------------------------------------------

// Finds `aten::name` or `aten::name.overload`. Null when this libtorch has no such operator. Operators live for ever.
TSB_EXPORT const void* tsb_operator(const char* text, int32_t length) {
  return guarded(static_cast<const void*>(nullptr), [&]() -> const void* {
    const std::string full(text, length);
    const auto dot = full.find('.');
    const std::string overload = dot == std::string::npos ? "" : full.substr(dot + 1);
    const auto found = c10::Dispatcher::singleton().findSchema({full.substr(0, dot), overload});
    if (!found.has_value()) {
      last_error = "This libtorch (" TORCH_VERSION ") has no operator " + full + ".";
      return nullptr;
    }
    auto op = std::make_unique<Operator>(Operator{*found, {}, {}, {}});
    for (const c10::Argument& argument : found->schema().arguments()) {
      op->has_default.push_back(argument.default_value().has_value());
      op->defaults.push_back(argument.default_value().has_value() ? *argument.default_value() : c10::IValue());
      op->is_float.push_back(argument.type()->kind() == c10::TypeKind::FloatType);
    }
    return op.release();
  });
}

// Calls an operator and returns the number of results written, or -1. With a capacity of 0 the results are dropped.
TSB_EXPORT int32_t tsb_call(const void* op, const Value* arguments, int32_t count, Value* results, int32_t capacity) {
  int32_t used = 0;
  const int32_t written = guarded(-1, [&] {
    BorrowedStack borrowed;
    call(*static_cast<const Operator*>(op), arguments, count, borrowed.stack);
    if (capacity > 0) {
      for (const c10::IValue& result : borrowed.stack) {
        append_result(result, results, capacity, used);
      }
    }
    return used;
  });
  for (int32_t i = 0; written < 0 && i < used; ++i) {
    if (results[i].tag == kTensor) {
      tsb_release(results[i].pointer);
    }
  }
  return written;
}

// ---- Tensors ---------------------------------------------------------------------------------------------------

// Another handle of the same tensor.
TSB_EXPORT void* tsb_alias(void* tensor) { return release(borrow(tensor)); }

// A CPU tensor over memory that the caller owns until `drop` is called with `context`.
TSB_EXPORT void* tsb_from_memory(void* data, const int64_t* sizes, int32_t dimensions, int32_t dtype, void (*drop)(void*),
                                 void* context) {
  return guarded(static_cast<void*>(nullptr), [&] {
    const auto options = at::TensorOptions().dtype(static_cast<at::ScalarType>(dtype));
    return release(at::from_blob(
        data, at::IntArrayRef(sizes, dimensions), [drop, context](void*) { drop(context); }, options));
  });
}

// The address of the first element; null with a last error when there is none to be had (meta tensors, for example).
TSB_EXPORT void* tsb_data(void* tensor) {
  return guarded(static_cast<void*>(nullptr), [&] {
    last_error.clear();
    return borrow(tensor).data_ptr();
  });
}

struct Info {
  int32_t dtype;
  int32_t device_type;
  int32_t device_index;
  int32_t dimensions;
  int32_t element_size;
  uint8_t is_contiguous;
  uint8_t requires_grad;
  uint8_t is_sparse;
  uint8_t padding;
  int64_t elements;
  int64_t storage_offset;
};

TSB_EXPORT int32_t tsb_info(void* tensor, Info* info) {
  return guarded(0, [&] {
    const auto* impl = static_cast<const Impl*>(tensor);
    *info = Info{};
    info->dtype = static_cast<int32_t>(c10::typeMetaToScalarType(impl->dtype()));
    info->device_type = static_cast<int32_t>(impl->device().type());
    info->device_index = impl->device().index();
    info->dimensions = static_cast<int32_t>(impl->dim());
    info->element_size = static_cast<int32_t>(impl->itemsize());
    info->requires_grad = impl->requires_grad();
    info->is_sparse = impl->is_sparse();
    info->elements = impl->numel();
    if (!impl->is_sparse()) {
      info->is_contiguous = impl->is_contiguous();
      info->storage_offset = impl->storage_offset();
    }
    return 1;
  });
}

TSB_EXPORT int32_t tsb_sizes(void* tensor, int64_t* sizes) {
  return guarded(0, [&] {
    for (const int64_t size : static_cast<const Impl*>(tensor)->sizes()) {
      *sizes++ = size;
    }
    return 1;
  });
}

TSB_EXPORT int32_t tsb_strides(void* tensor, int64_t* strides) {
  return guarded(0, [&] {
    for (const int64_t stride : static_cast<const Impl*>(tensor)->strides()) {
      *strides++ = stride;
    }
    return 1;
  });
}

// ---- Autograd --------------------------------------------------------------------------------------------------

TSB_EXPORT int32_t tsb_set_requires_grad(void* tensor, int32_t value) {
  return guarded(0, [&] {
    borrow(tensor).set_requires_grad(value != 0);
    return 1;
  });
}

TSB_EXPORT int32_t tsb_is_leaf(void* tensor) {
  return guarded(-1, [&] { return borrow(tensor).is_leaf() ? 1 : 0; });
}

TSB_EXPORT int32_t tsb_retain_grad(void* tensor) {
  return guarded(0, [&] {
    borrow(tensor).retain_grad();
    return 1;
  });
}

// `result` becomes null when there is no gradient.
TSB_EXPORT int32_t tsb_grad(void* tensor, void** result) {
  return guarded(0, [&] {
    *result = release(borrow(tensor).grad());
    return 1;
  });
}

TSB_EXPORT int32_t tsb_set_grad(void* tensor, void* grad) {
  return guarded(0, [&] {
    borrow(tensor).mutable_grad() = borrow(grad);
    return 1;
  });
}

TSB_EXPORT int32_t tsb_backward(void* const* roots, int32_t root_count, void* const* grads, int32_t grad_count,
                                void* const* inputs, int32_t input_count, int32_t retain_graph, int32_t create_graph) {
  return guarded(0, [&] {
    torch::autograd::backward(borrow_all(roots, root_count), borrow_all(grads, grad_count), retain_graph != 0,
                              create_graph != 0, borrow_all(inputs, input_count));
    return 1;
  });
}

// One gradient per input; null where an input that may be unused was not used.
TSB_EXPORT int32_t tsb_gradients(void* const* outputs, int32_t output_count, void* const* inputs, int32_t input_count,
                                 void* const* grads, int32_t grad_count, int32_t retain_graph, int32_t create_graph,
                                 int32_t allow_unused, void** results) {
  return guarded(0, [&] {
    const auto gradients = torch::autograd::grad(borrow_all(outputs, output_count), borrow_all(inputs, input_count),
                                                 borrow_all(grads, grad_count), retain_graph != 0, create_graph != 0,
                                                 allow_unused != 0);
    for (size_t i = 0; i < gradients.size(); ++i) {
      results[i] = release(gradients[i]);
    }
    return 1;
  });
}

TSB_EXPORT int32_t tsb_grad_mode() { return c10::GradMode::is_enabled() ? 1 : 0; }

TSB_EXPORT void tsb_set_grad_mode(int32_t enabled) { c10::GradMode::set_enabled(enabled != 0); }

TSB_EXPORT int32_t tsb_inference_mode() { return c10::InferenceMode::is_enabled() ? 1 : 0; }

// Inference modes end in the reverse of the order in which they began, on the same thread.
TSB_EXPORT void* tsb_begin_inference_mode(int32_t enabled) {
  return guarded(static_cast<void*>(nullptr), [&]() -> void* { return new c10::InferenceMode(enabled != 0); });
}

TSB_EXPORT void tsb_end_inference_mode(void* mode) { delete static_cast<c10::InferenceMode*>(mode); }

// ---- Random numbers --------------------------------------------------------------------------------------------

TSB_EXPORT int32_t tsb_manual_seed(int64_t seed) {
  return guarded(0, [&] {
    at::manual_seed(static_cast<uint64_t>(seed));
    return 1;
  });
}

// A generator of its own for the device; a generator is given back with tsb_release_generator.
TSB_EXPORT void* tsb_generator(int64_t seed, int64_t device) {
  return guarded(static_cast<void*>(nullptr), [&]() -> void* {
    auto generator = device_of(device).is_cpu() ? at::detail::createCPUGenerator()
                                                : default_generator(device).clone();
    generator.set_current_seed(static_cast<uint64_t>(seed));
    return new at::Generator(std::move(generator));
  });
}

TSB_EXPORT void* tsb_default_generator(int64_t device) {
  return guarded(static_cast<void*>(nullptr), [&]() -> void* { return new at::Generator(default_generator(device)); });
}

TSB_EXPORT void tsb_release_generator(void* generator) { delete static_cast<at::Generator*>(generator); }

TSB_EXPORT int32_t tsb_seed_generator(void* generator, int64_t seed) {
  return guarded(0, [&] {
    auto& random = *static_cast<at::Generator*>(generator);
    const std::lock_guard<std::mutex> lock(random.mutex());
    random.set_current_seed(static_cast<uint64_t>(seed));
    return 1;
  });
}

// Takes a seed from the machine's entropy, and returns it.
TSB_EXPORT int64_t tsb_reseed_generator(void* generator) {
  return guarded(int64_t{0}, [&] {
    auto& random = *static_cast<at::Generator*>(generator);
    const std::lock_guard<std::mutex> lock(random.mutex());
    return static_cast<int64_t>(random.seed());
  });
}

TSB_EXPORT int64_t tsb_initial_seed(void* generator) {
  return guarded(int64_t{0}, [&] { return static_cast<int64_t>(static_cast<at::Generator*>(generator)->current_seed()); });
}

TSB_EXPORT void* tsb_generator_state(void* generator) {
  return guarded(static_cast<void*>(nullptr), [&] {
    auto& random = *static_cast<at::Generator*>(generator);
    const std::lock_guard<std::mutex> lock(random.mutex());
    return release(random.get_state());
  });
}

TSB_EXPORT int32_t tsb_set_generator_state(void* generator, void* state) {
  return guarded(0, [&] {
    auto& random = *static_cast<at::Generator*>(generator);
    const std::lock_guard<std::mutex> lock(random.mutex());
    random.set_state(borrow(state));
    return 1;
  });
}

// ---- Threads and devices ---------------------------------------------------------------------------------------

TSB_EXPORT int32_t tsb_threads() { return at::get_num_threads(); }

TSB_EXPORT int32_t tsb_set_threads(int32_t count) {
  return guarded(0, [&] {
    at::set_num_threads(count);
    return 1;
  });
}

TSB_EXPORT int32_t tsb_interop_threads() { return static_cast<int32_t>(at::get_num_interop_threads()); }

TSB_EXPORT int32_t tsb_set_interop_threads(int32_t count) {
  return guarded(0, [&] {
    at::set_num_interop_threads(count);
    return 1;
  });
}

TSB_EXPORT int32_t tsb_device_count() {
  return guarded(0, [&]() -> int32_t {
    return at::hasCUDA() ? c10::impl::VirtualGuardImpl(c10::DeviceType::CUDA).deviceCount() : 0;
  });
}

TSB_EXPORT int32_t tsb_has_cudnn() {
  return guarded(0, [&]() -> int32_t { return at::hasCUDA() && at::detail::getCUDAHooks().hasCuDNN() ? 1 : 0; });
}

// Waits for the work queued on the device's current stream, the only one that operators are sent to.
TSB_EXPORT int32_t tsb_synchronize(int64_t device) {
  return guarded(0, [&] {
    const c10::impl::VirtualGuardImpl guard(c10::DeviceType::CUDA);
    auto target = device_of(device);
    if (!target.has_index()) {
      target = guard.getDevice();
    }
    guard.synchronizeStream(guard.getStream(target));
    return 1;
  });
}

TSB_EXPORT int32_t tsb_seed_cuda(int64_t seed, int32_t index) {
  return guarded(0, [&] {
    auto generator = default_generator((int64_t{static_cast<int32_t>(c10::DeviceType::CUDA)} << 32) | static_cast<uint32_t>(index));
    const std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_current_seed(static_cast<uint64_t>(seed));
    return 1;
  });
}
