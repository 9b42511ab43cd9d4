// Where did the wall time go?
// A session owns one TimerTree; phases nest by scope. Times are this rank's; the end-of-run block compares ranks.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace grokscope {

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

struct Phase {
  std::string name;  ///< slash-separated path: "track/gram"
  std::int64_t calls = 0;
  double total_s = 0;  ///< with its children
  double self_s = 0;   ///< without them
};

class TimerTree {
 public:
  /// Times the enclosing scope as a child of the scope that is open now.
  class Scope {
   public:
    Scope(TimerTree& tree, std::string name);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    TimerTree& tree_;
    std::size_t parent_;
    std::size_t phase_;
    Stopwatch watch_;
  };

  TimerTree();
  [[nodiscard]] Scope scope(std::string name) { return Scope(*this, std::move(name)); }

  /// Calls `observer` with the path of the open scope whenever that changes: at the begin and at the end of every scope.
  void observe(std::function<void(const std::string& path)> observer) { observer_ = std::move(observer); }

  /// Phases in the order of first use; the first is the whole.
  std::vector<Phase> phases() const;
  double total_of(const std::string& path) const;

 private:
  std::vector<Phase> phases_;
  std::vector<double> children_s_;
  std::size_t open_ = 0;
  std::function<void(const std::string& path)> observer_;
  Stopwatch whole_;
};

}  // namespace grokscope
