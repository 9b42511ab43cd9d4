// How much memory do tensors take at most, while something runs on this thread?
#pragma once

#include <c10/core/Allocator.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>

namespace grokscope {

/// Counts what lives of the tensors that are made meanwhile.
class PeakCounter : public c10::MemoryReportingInfoBase {
 public:
  void reportMemoryUsage(void*, std::int64_t bytes, std::int64_t, std::int64_t, c10::Device) override {
    live_ += bytes;
    peak_ = std::max(peak_, live_);
  }
  bool memoryProfilingEnabled() const override { return true; }
  std::int64_t peak() const { return peak_; }

 private:
  std::int64_t live_ = 0;
  std::int64_t peak_ = 0;
};

/// Bytes of all tensors that `work` makes and that live at a time, at most.
inline std::int64_t peak_tensor_bytes(const std::function<void()>& work) {
  const auto counter = std::make_shared<PeakCounter>();
  const c10::DebugInfoGuard guard(c10::DebugInfoKind::PROFILER_STATE, counter);
  work();
  return counter->peak();
}

}  // namespace grokscope
