#include "base/timer.hpp"

#include <algorithm>

namespace grokscope {

TimerTree::TimerTree() : phases_{{"", 1, 0, 0}}, children_s_{0} {}

TimerTree::Scope::Scope(TimerTree& tree, std::string name) : tree_(tree), parent_(tree.open_) {
  const auto& parent_path = tree.phases_[parent_].name;
  const std::string path = parent_path.empty() ? std::move(name) : parent_path + "/" + name;
  const auto found = std::find_if(tree.phases_.begin(), tree.phases_.end(),
                                  [&](const Phase& phase) { return phase.name == path; });
  phase_ = static_cast<std::size_t>(found - tree.phases_.begin());
  if (found == tree.phases_.end()) {
    tree.phases_.push_back({path, 0, 0, 0});
    tree.children_s_.push_back(0);
  }
  tree.open_ = phase_;
  if (tree.observer_) tree.observer_(path);
}

TimerTree::Scope::~Scope() {
  const double elapsed = watch_.seconds();
  auto& phase = tree_.phases_[phase_];
  ++phase.calls;
  phase.total_s += elapsed;
  tree_.children_s_[parent_] += elapsed;
  tree_.open_ = parent_;
  if (tree_.observer_) tree_.observer_(tree_.phases_[parent_].name);
}

std::vector<Phase> TimerTree::phases() const {
  auto result = phases_;
  result.front().total_s = whole_.seconds();
  for (std::size_t i = 0; i < result.size(); ++i) result[i].self_s = result[i].total_s - children_s_[i];
  return result;
}

double TimerTree::total_of(const std::string& path) const {
  for (const auto& phase : phases_) {
    if (phase.name == path) return phase.total_s;
  }
  return 0;
}

}  // namespace grokscope
