// How do the immutable segments look like three growing files?
// metrics.h5, gop_full.h5 and gop_layers.h5 are derived: written anew beside the old ones and renamed, at
// each commit and at each start. Deleting them loses nothing. Local; called by the root.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "io/run_facts.hpp"
#include "io/table.hpp"

namespace grokscope {

/// The last commit; -1 before the first.
struct CommitPoint {
  std::int64_t epoch = -1;
  std::int64_t step = -1;
};

/// An epoch's group of gop_full or gop_layers, and the segment it lies in.
struct EpochLink {
  std::string view;     ///< "gop_full" or "gop_layers"
  std::string group;    ///< "epoch_1000"
  std::string segment;  ///< file name below .segments/
};

/// Writes metrics.h5 from the rows of all sources.
void publish_metrics(const std::filesystem::path& path, std::span<const TableSource> sources,
                     const RunFacts& facts, CommitPoint committed);

/// Writes gop_full.h5 or gop_layers.h5: one relative external link per epoch of this view.
void publish_links(const std::filesystem::path& path, const std::string& view,
                   std::span<const EpochLink> links, const RunFacts& facts, CommitPoint committed);

}  // namespace grokscope
