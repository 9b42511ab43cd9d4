#include "run/device.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <ATen/Parallel.h>

#include <fstream>

namespace grokscope {

at::Device choose_device(const std::string& wanted, int rank) {
  if (wanted == "cpu" || !at::hasCUDA()) return at::kCPU;
  const auto count = at::detail::getCUDAHooks().getNumGPUs();
  if (count == 0) return at::kCPU;
  return at::Device(at::kCUDA, static_cast<at::DeviceIndex>(rank % count));
}

void set_threads(int threads) {
  at::set_num_threads(threads);
  // Not every BLAS is OpenBLAS: ask the process whether it has the function.
  using SetThreads = void (*)(int);
  if (const auto set = reinterpret_cast<SetThreads>(::dlsym(RTLD_DEFAULT, "openblas_set_num_threads"))) set(threads);
}

std::string blas_description() {
  using Describe = char* (*)();
  std::string text = "unknown";
  if (const auto config = reinterpret_cast<Describe>(::dlsym(RTLD_DEFAULT, "openblas_get_config"))) text = config();
  if (const auto core = reinterpret_cast<Describe>(::dlsym(RTLD_DEFAULT, "openblas_get_corename"))) {
    text += fmt::format(", core {}", core());
  }
  return text;
}

std::string cpu_model() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("model name")) return line.substr(line.find(':') + 2);
  }
  return "unknown";
}

double peak_memory_bytes() {
  struct rusage usage = {};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024;
}

}  // namespace grokscope
