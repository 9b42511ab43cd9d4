// What did a session leave on the disk, for a test to compare?
// Also starts sessions from configurations written as text. Two runs are equal when every dataset of
// metrics.h5 and gop_full.h5, but for times and hosts, and the state in a checkpoint have the same bytes.
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "comm/communicator.hpp"
#include "io/checkpoint.hpp"
#include "io/hdf5.hpp"
#include "run/session.hpp"

namespace grokscope {

using PublishedArrays = std::map<std::string, std::pair<std::vector<std::int64_t>, std::vector<std::byte>>>;

inline void add_array(PublishedArrays& content, const NamedArray& array) {
  content[array.name] = {array.shape, array.bytes};
}

/// Every number of metrics.h5 and every spectrum of gop_full.h5. Local.
inline PublishedArrays published(const std::filesystem::path& run) {
  PublishedArrays content;
  const auto metrics = hdf5::open_file(run / "metrics.h5");
  for (const auto& path : hdf5::list_datasets(metrics)) {
    const bool is_text_or_time =
        path.starts_with("parameters/") || path.starts_with("timing/") || path.starts_with("provenance/");
    if (is_text_or_time) continue;
    auto array = hdf5::read_array(metrics, path);
    array.name = path;
    add_array(content, array);
  }
  const auto spectra = hdf5::open_file(run / "gop_full.h5");
  for (const auto& group : hdf5::list_children(spectra)) {
    if (!group.starts_with("epoch_")) continue;
    auto array = hdf5::read_array(spectra, group + "/eigenvalues");
    array.name = group + "/eigenvalues";
    add_array(content, array);
  }
  return content;
}

/// Paths of what differs between two runs, or is in one of them only.
inline std::vector<std::string> differences(const PublishedArrays& a, const PublishedArrays& b) {
  std::vector<std::string> paths;
  for (const auto& [path, value] : a) {
    const auto other = b.find(path);
    if (other == b.end() || other->second != value) paths.push_back(path);
  }
  for (const auto& [path, value] : b) {
    if (!a.contains(path)) paths.push_back(path);
  }
  return paths;
}

/// Loads a configuration file that was written for the test and runs it in `directory`. Collective over comm.
inline SessionResult run_configuration(const Communicator& comm, const std::filesystem::path& file,
                                       const std::filesystem::path& directory,
                                       const std::vector<std::string>& overrides, Experiments experiments) {
  auto all = overrides;
  all.push_back("storage.output_dir=" + directory.string());
  const auto configuration = load_configuration(file, all, experiments);
  SessionOptions options;
  options.verbosity = Verbosity::quiet;
  return run_session(comm, *configuration, options);
}

/// Writes text on the root and waits until all ranks may read it. Collective over comm.
inline std::filesystem::path write_configuration(const Communicator& comm, const std::filesystem::path& file,
                                                 const std::string& text) {
  comm.on_root([&] { std::ofstream(file) << text; });
  return file;
}

}  // namespace grokscope
