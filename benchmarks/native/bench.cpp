// Figures of the C++ side, as JSON:
//
//     bench overhead BUNDLE        microseconds (of the processor's time) a run of two float32 [1, 4]: here, and bare
//     bench submit BUNDLE CLIENTS  pictures [n, 3, 224, 224] a second: loops of fixed batches, and
//                                  clients that submit one picture at a time

#include <dlfcn.h>

#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <modelport/modelport.hpp>
#include <string>
#include <thread>
#include <vector>

#include "onnxruntime.h"

namespace {

using namespace modelport::ort;
using Clock = std::chrono::steady_clock;

double seconds(const std::function<void()>& work) {
  const auto begin = Clock::now();
  work();
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Of this thread's own: what other programs take of the machine does not count.
double cpu_seconds(const std::function<void()>& work) {
  const auto now = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
  };
  const double begin = now();
  work();
  return now() - begin;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// The C API without anything around it: values are made, run, read and released.
class Bare {
 public:
  explicit Bare(const std::string& graph) : api_(table()) {
    require(api_.call(CreateEnv, 4, "bench", &env_));
    SessionOptions* options = nullptr;
    require(api_.call(CreateSessionOptions, &options));
    require(api_.call(SetIntraOpNumThreads, options, 1));
    require(api_.call(SetSessionGraphOptimizationLevel, options, 99));
    require(api_.call(CreateSession, static_cast<const Env*>(env_), graph.c_str(),
                      static_cast<const SessionOptions*>(options), &session_));
    require(api_.call(CreateCpuMemoryInfo, 1, 0, &memory_));
  }

  float run(float* a, float* b) const {
    const int64_t shape[]{1, 4};
    const char* const names[]{"a", "b"};
    const char* const wanted[]{"y"};
    Value* values[2]{};
    Value* result[1]{};
    float* const data[]{a, b};
    for (size_t i = 0; i < 2; ++i)
      require(api_.call(CreateTensorWithDataAsOrtValue, static_cast<const MemoryInfo*>(memory_),
                        static_cast<void*>(data[i]), size_t{16}, static_cast<const int64_t*>(shape), size_t{2},
                        int32_t{1}, &values[i]));
    require(api_.call(modelport::ort::Run, session_, static_cast<const RunOptions*>(nullptr), names,
                      static_cast<Value* const*>(values), size_t{2}, wanted, size_t{1}, result + 0));
    void* read = nullptr;
    require(api_.call(GetTensorMutableData, result[0], &read));
    const float first = *static_cast<float*>(read);
    for (Value* value : {values[0], values[1], result[0]}) api_.call<void>(ReleaseValue, value);
    return first;
  }

 private:
  static const void* table() {
    void* library = dlopen(std::getenv("MODELPORT_ONNXRUNTIME"), RTLD_NOW | RTLD_LOCAL);
    const auto base = reinterpret_cast<const ApiBase* (*)()>(dlsym(library, "OrtGetApiBase"));
    return base()->get_api(api_version);
  }
  void require(Status* status) const {
    if (!status) return;
    std::fprintf(stderr, "%s\n", api_.call<const char*>(GetErrorMessage, status));
    std::exit(1);
  }

  Api api_;
  Env* env_ = nullptr;
  Session* session_ = nullptr;
  MemoryInfo* memory_ = nullptr;
};

void overhead(const std::string& bundle) {
  modelport::LoadOptions options;
  options.threads = 1;
  const modelport::Engine engine(bundle, options);
  const Bare bare(bundle + "/graphs/model.onnx");
  std::vector<float> a{1, 2, 3, 4}, b{5, 6, 7, 8};
  const std::vector<modelport::Input> inputs{{"a", {1, 4}, a}, {"b", {1, 4}, b}};
  constexpr int rounds = 25, calls = 3000;
  volatile float kept = 0;
  std::vector<double> here, there, more;
  for (int round = 0; round <= rounds; ++round) {
    const double own = cpu_seconds([&] {
      for (int i = 0; i < calls; ++i) kept = engine.run(inputs).at(0).data<float>()[0];
    });
    const double bares = cpu_seconds([&] {
      for (int i = 0; i < calls; ++i) kept = bare.run(a.data(), b.data());
    });
    if (!round) continue;
    here.push_back(own / calls * 1e6);
    there.push_back(bares / calls * 1e6);
  }
  std::printf("{\"run\": %.4f, \"bare\": %.4f, \"least_run\": %.4f, \"least_bare\": %.4f}\n", median(here),
              median(there), *std::min_element(here.begin(), here.end()),
              *std::min_element(there.begin(), there.end()));
}

void submit(const std::string& bundle, size_t clients) {
  const modelport::Engine engine(bundle);
  constexpr int64_t pixels = 3 * 224 * 224;
  constexpr size_t pictures = 32, most = 8;
  constexpr int rounds = 3;
  std::vector<float> batch(most * pixels, 0.25f);
  std::map<std::string, std::vector<double>> rates;
  const auto input = [&](int64_t size) {
    return modelport::Input("x", {size, 3, 224, 224}, MODELPORT_FLOAT32, batch.data());
  };
  for (int round = 0; round <= rounds; ++round) {
    const auto rate = [&](const std::string& name, const std::function<void()>& work) {
      const double taken = seconds(work);
      if (round) rates[name].push_back(pictures / taken);
    };
    for (const int64_t size : {1, 2, 4, 8})
      rate("batches of " + std::to_string(size), [&] {
        for (size_t done = 0; done < pictures; done += static_cast<size_t>(size)) engine.run({input(size)});
      });
    rate("submit", [&] {
      modelport::Batcher batcher(engine, {most, std::chrono::microseconds(2000)});
      std::vector<std::thread> threads;
      for (size_t client = 0; client < clients; ++client)
        threads.emplace_back([&] {
          // The next one is on its way while the client waits for an answer.
          std::future<modelport::Outputs> before;
          for (size_t i = 0; i < pictures / clients; ++i) {
            auto next = batcher.submit({input(1)});
            if (before.valid()) before.get();
            before = std::move(next);
          }
          before.get();
        });
      for (std::thread& thread : threads) thread.join();
    });
  }
  std::printf("{");
  for (const auto& [name, values] : rates)
    std::printf("%s\"%s\": %.3f", name == rates.begin()->first ? "" : ", ", name.c_str(), median(values));
  std::printf("}\n");
}

}  // namespace

int main(int count, char** arguments) {
  const std::string verb = count > 2 ? arguments[1] : "";
  if (verb == "overhead") overhead(arguments[2]);
  else if (verb == "submit" && count > 3) submit(arguments[2], std::stoul(arguments[3]));
  else return 2;
  return 0;
}
