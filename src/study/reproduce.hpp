// Do all the papers' claims hold? (`grokscope reproduce`)
// Runs the repository's configurations one after another, single runs and studies alike, and writes one table
// of claim against result, as Markdown and as HDF5.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "run/session.hpp"

namespace grokscope {

struct ReproduceOptions {
  std::vector<std::string> numbers;  ///< "03" or "3"; empty: all
  bool quick = false;
  std::filesystem::path configs = "configs";
  std::filesystem::path results = "results";
};

/// The configurations NN_*.yaml that are meant: those in the folder's reproduce.yaml, or all of the folder where it has none. A paper
/// that is asked for by its number, and of which the list has none of the folder's own files, takes those too. Throws UserError for
/// numbers that none has. Local.
std::vector<std::filesystem::path> chosen_configurations(const ReproduceOptions& options);

/// Where the table goes, without its extension: results/[quick/]reproduce[_NN...], so that a part never replaces the whole.
std::filesystem::path table_of(const ReproduceOptions& options);

/// Runs them, resuming what was begun. The table is written anew after each. Returns done when every claim
/// holds, the code of the first run that failed, or internal when a claim is missed. Throws StopRequested
/// when asked to stop. Collective over world.
ExitCode run_reproduction(const Communicator& world, const ReproduceOptions& options,
                          const SessionOptions& session, Experiments experiments);

}  // namespace grokscope
