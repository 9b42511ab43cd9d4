#include "probes/tracked_examples.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/random.hpp"

namespace grokscope {

void check_tracked_examples(const DataSplits& data, const GopTrackingOptions& options) {
  const auto& split = options.split == "train" ? data.train : data.test;
  if (!options.enabled || split.size() > 0) return;
  throw UserError(fmt::format(
      "gop_tracking.split: there are no {} examples (a gradient outer product is a mean over some), track the other split or "
      "have data of this one",
      options.split));
}

Dataset tracked_examples(const DataSplits& data, const GopTrackingOptions& options, std::uint64_t seed) {
  const auto& split = options.split == "train" ? data.train : data.test;
  if (options.examples.is_all() || options.examples.count >= split.size()) return split;
  auto order = random_permutation(split.size(), RandomStream(seed, "tracked_examples"));
  order.resize(static_cast<std::size_t>(options.examples.count));
  std::sort(order.begin(), order.end());
  return split.select(at::from_blob(order.data(), {options.examples.count}, at::kLong).to(split.ids.device()));
}

GradientMatrix gradients_of(const Communicator& comm, const Task& task, const Dataset& examples) {
  constexpr std::int64_t kChunk = 4096;
  const auto mine = even_share(examples.size(), comm.size(), comm.rank());
  std::vector<Taps> parts;
  for (auto begin = mine.begin; parts.empty() || begin < mine.end; begin += kChunk) {
    const auto rows = examples.rows({begin, std::min(begin + kChunk, mine.end)});
    parts.push_back(backward_pass(task.model(), task.loss(), rows.inputs, rows.targets, Taping::on).taps);
  }
  return GradientMatrix(comm, concatenate_rows(parts));
}

}  // namespace grokscope
