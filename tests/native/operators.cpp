// Calls every C function of a library of operators, and those that ONNX Runtime gets, with memory that
// ends at any point. ONNX Runtime itself is played: its API is an array of functions.
#include <cstring>
#include <vector>

#include "failing_memory.h"
#include "onnxruntime_abi.h"

using namespace modelport::ort;

namespace {

constexpr int64_t size = 4;
float numbers[size] = {1, 2, 3, 4}, results[size];
std::vector<const CustomOp*> registered;
char said[4096];

// Statuses, values and the like are pointers that only their owner looks into.
template <class T>
T* handle(void* place) {
  return static_cast<T*>(place);
}

Status* create_status(int32_t, const char* message) {
  std::snprintf(said, sizeof said, "%s", message);
  return handle<Status>(said);
}
Status* create_domain(const char*, Domain** domain) { return *domain = handle<Domain>(said), nullptr; }
Status* add_operator(Domain*, const CustomOp* op) {
  if (registered.size() < registered.capacity()) registered.push_back(op);
  return nullptr;
}
Status* succeed() { return nullptr; }
Status* node_name(const KernelInfo*, char* name, size_t* bytes) {
  constexpr const char* own = "a node whose name is longer than what fits in place";
  if (name) std::memcpy(name, own, *bytes);
  *bytes = std::strlen(own) + 1;
  return nullptr;
}
Status* integer(const KernelInfo*, const char*, int64_t* value) { return *value = 0, nullptr; }
Status* text(const KernelInfo* info, const char*, char* value, size_t* bytes) { return node_name(info, value, bytes); }
Status* integers(const KernelInfo*, const char*, int64_t* values, size_t* count) {
  if (values) std::memset(values, 0, *count * sizeof *values);
  *count = 3;
  return nullptr;
}
Status* input_count(const KernelContext*, size_t* count) { return *count = 1, nullptr; }
Status* input(const KernelContext*, size_t, const Value** value) { return *value = handle<Value>(numbers), nullptr; }
Status* output(KernelContext*, size_t, const int64_t*, size_t, Value** value) {
  return *value = handle<Value>(results), nullptr;
}
Status* type_and_shape(const Value*, TensorInfo** info) { return *info = handle<TensorInfo>(said), nullptr; }
Status* rank(const TensorInfo*, size_t* count) { return *count = 1, nullptr; }
Status* dimensions(const TensorInfo*, int64_t* dims, size_t) { return *dims = size, nullptr; }
Status* parallel(const KernelContext*, void (*piece)(void*, size_t), size_t pieces, size_t, void* own) {
  for (size_t i = 0; i < pieces; ++i) piece(own, i);
  return nullptr;
}
Status* data(Value* value, void** place) { return *place = value, nullptr; }

void* functions[300];
template <class Function>
void offer(Slot slot, Function* function) {
  functions[slot] = reinterpret_cast<void*>(function);
}
const void* get_api(uint32_t) { return functions; }
const char* version() { return "played"; }

void offer_all() {
  offer(CreateStatus, create_status);
  offer(ReleaseStatus, succeed);
  offer(CreateCustomOpDomain, create_domain);
  offer(CustomOpDomain_Add, add_operator);
  offer(AddCustomOpDomain, succeed);
  offer(KernelInfo_GetNodeName, node_name);
  offer(KernelInfoGetAttribute_int64, integer);
  offer(KernelInfoGetAttribute_string, text);
  offer(KernelInfoGetAttributeArray_int64, integers);
  offer(KernelContext_GetInputCount, input_count);
  offer(KernelContext_GetInput, input);
  offer(KernelContext_GetOutput, output);
  offer(GetTensorTypeAndShape, type_and_shape);
  offer(GetDimensionsCount, rank);
  offer(GetDimensions, dimensions);
  offer(ReleaseTensorTypeAndShapeInfo, succeed);
  offer(GetTensorMutableData, data);
  offer(KernelContext_ParallelFor, parallel);
}

void* library;
template <class Function>
Function* find(const char* name) {
  auto* found = reinterpret_cast<Function*>(dlsym(library, name));
  if (!found) std::exit((std::fprintf(stderr, "there is no %s\n", name), 2));
  return found;
}

bool out_of_memory(const char* message) {
  if (std::strstr(message, "out of memory")) return true;
  std::exit((std::fprintf(stderr, "another error than that of memory: '%s'\n", message), 1));
}

void host(bool for_good) {
  auto* kernels = find<const char*()>("modelport_kernels");
  auto* error = find<const char*()>("modelport_error");
  auto* bind = find<void*(int64_t)>("modelport_bind");
  auto* unbind = find<void(void*)>("modelport_unbind");
  auto* set_str = find<void(void*, int64_t, const char*, int64_t)>("modelport_set_str");
  auto* set_ints = find<void(void*, int64_t, const int64_t*, int64_t)>("modelport_set_ints");
  auto* call = find<int64_t(const void*, int64_t, void*, const int64_t*, void* const*, void*)>("modelport_call");
  error();  // a library's own memory of a thread is the C library's to get, before anything can fail
  memory::exhaust("modelport_kernels", for_good, [&] { return kernels() || !out_of_memory(error()); });
  const int64_t plan[] = {1, 1, size, 1, 1, size}, sizes[] = {1, 2, 3};
  void* const buffers[] = {numbers, results};
  memory::exhaust("modelport_call", for_good, [&] {
    void* bound = bind(0);
    if (!bound) return !out_of_memory(error());
    set_str(bound, 1, "a text that is longer than what fits in place", 45);
    set_ints(bound, 2, sizes, 3);
    const bool good = !call(bound, 1, nullptr, plan, buffers, nullptr);
    unbind(bound);
    return good || !out_of_memory(error());
  });
}

void onnxruntime(bool for_good) {
  const ApiBase base{get_api, version};
  auto* enter = find<Status*(SessionOptions*, const ApiBase*)>("RegisterCustomOps");
  registered.reserve(8);
  const auto good = [](Status* status) { return !status || !out_of_memory(said); };
  memory::exhaust("RegisterCustomOps", for_good, [&] {
    registered.clear();
    return good(enter(nullptr, &base));
  });
  const CustomOp& op = *registered.at(0);
  memory::exhaust("create_kernel", for_good, [&] {
    void* kernel = nullptr;
    Status* status = op.create_kernel_status(&op, functions, nullptr, &kernel);
    if (kernel) op.destroy(kernel);
    return good(status);
  });
  void* kernel = nullptr;
  op.create_kernel_status(&op, functions, nullptr, &kernel);
  memory::exhaust("compute", for_good, [&] { return good(op.compute_status(kernel, nullptr)); });
  op.destroy(kernel);
}

}  // namespace

// The library, and "once" or "for_good".
int main(int, char** arguments) {
  library = dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
  if (!library) return std::fprintf(stderr, "%s\n", dlerror()), 2;
  const bool for_good = std::strcmp(arguments[2], "for_good") == 0;
  offer_all();
  host(for_good);
  onnxruntime(for_good);
}
