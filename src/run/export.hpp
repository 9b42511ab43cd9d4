// How does somebody get a plain matrix out of a run? (`grokscope export`)
// Rebuilds a dense GOP, of all parameters or of one layer, or a block of it, from stored factors or, where there are none,
// from a checkpoint and data.h5; or writes a run's linked files as plain ones.
#pragma once

#include <optional>
#include <string>

#include "run/session.hpp"

namespace grokscope {

/// A range as numpy's slices have it: ends may be left open, and negative ones count from the end.
struct OpenRange {
  std::optional<std::int64_t> begin, end;
};

struct ExportRequest {
  std::string moment;              ///< "epoch_1000", "epoch_3_step_40"
  std::string layer;               ///< empty: all parameters
  OpenRange rows;  ///< of the matrix of all parameters, or of the layer's
  OpenRange cols;
  std::string output;              ///< file; empty: RUN_DIR/export/<moment>[.<layer>][.rows_a-b][.cols_c-d].h5
};

/// "a:b" as numpy means it, with either end left out; throws UserError for anything else. Local.
OpenRange parse_range(const std::string& text);

/// Writes dataset `gop` [rows, cols] in the run's storage.float_precision, with the attributes of the stored ones. Returns
/// the file. Throws UserError when it would be larger than computational_limits.max_gop_size_gb, StopRequested when asked to
/// stop: the same export takes up what is written. Any other end leaves nothing behind. Collective over comm.
std::filesystem::path run_export(const Communicator& comm, RunConfiguration& configuration, const ExportRequest& request,
                                 const SessionOptions& options);

/// Writes RUN_DIR/export/{metrics,gop_full,gop_layers}.h5 with every external link replaced by what it leads to. Throws
/// StopRequested when asked to stop; files that are whole stay. Collective.
std::filesystem::path merge_views(const Communicator& comm, const std::filesystem::path& run_directory,
                                  const SessionOptions& options);

}  // namespace grokscope
