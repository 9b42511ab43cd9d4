#include "io/pending_segment.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/hash.hpp"
#include "io/durable_file.hpp"

namespace grokscope {

namespace fs = std::filesystem;

namespace {

/// Returns `stem`.h5, or `stem`_2.h5 and so on when that is taken: segments are never overwritten.
std::string free_name(const fs::path& folder, const std::string& stem) {
  auto name = stem + ".h5";
  for (int k = 2; fs::exists(folder / name); ++k) name = fmt::format("{}_{}.h5", stem, k);
  return name;
}

std::uint64_t hash_array(const NamedArray& array) {
  return hash_bytes(array.bytes.data(), array.bytes.size());
}

}  // namespace

hdf5::Handle PendingSegment::open_view_group(const std::string& view, const std::string& group) {
  require(view == "gop_full" || view == "gop_layers", "a view is gop_full or gop_layers");
  if (!file_.is_open()) file_ = hdf5::create_file(temporary());
  return hdf5::require_group(file_, "/" + view + "/" + group);
}

void PendingSegment::remember(const std::string& path, const NamedArray& array) {
  written_.push_back({path, hash_array(array)});
}

void PendingSegment::write(const std::string& view, const std::string& group, const NamedArray& array,
                           const Attributes& attributes, int gzip_level) {
  hdf5::write_array(open_view_group(view, group), array.name, array, attributes, gzip_level);
  remember(fmt::format("/{}/{}/{}", view, group, array.name), array);
}

void PendingSegment::set_attributes(const std::string& view, const std::string& group,
                                    const Attributes& attributes) {
  hdf5::write_attributes(open_view_group(view, group), attributes);
}

std::string PendingSegment::name_matrix_file(const std::string& view, const std::string& group,
                                             const std::string& name) const {
  auto stem = fmt::format("{}.{}.{}", view, group, name);
  std::ranges::replace(stem, '/', '.');
  return free_name(folder_, stem);
}

void PendingSegment::add_matrix(const std::string& view, const std::string& group, const std::string& name,
                                const CommittedFile& file) {
  hdf5::link_external(open_view_group(view, group), name, file.name, "/" + name);
  matrices_.push_back(file);
}

void PendingSegment::link(const std::string& view, const std::string& group, const std::string& name,
                          const std::string& target) {
  hdf5::link_soft(open_view_group(view, group), name, "/" + target);
}

FinishedSegment PendingSegment::finish(const TableBuffer& rows, std::int64_t last_epoch) {
  FinishedSegment finished;
  if (!file_.is_open() && rows.is_empty()) return finished;
  if (!file_.is_open()) file_ = hdf5::create_file(temporary());
  for (const auto& array : rows.write(hdf5::require_group(file_, kSegmentTables))) {
    remember(fmt::format("{}/{}", kSegmentTables, array.name), array);
  }
  file_.close();
  verify();
  const auto first_epoch = rows.is_empty() ? last_epoch : rows.first_epoch();
  const auto segment = folder_ / free_name(folder_, fmt::format("{}-{}", first_epoch, last_epoch));
  publish_file(temporary(), segment);
  finished.files = std::move(matrices_);
  finished.files.push_back({segment.filename().string(), static_cast<std::int64_t>(fs::file_size(segment)),
                            hash_file(segment), false});
  finished.links = list_epoch_links(segment);
  discard();
  return finished;
}

void PendingSegment::discard() {
  file_ = {};
  written_.clear();
  matrices_.clear();
}

void PendingSegment::verify() const {
  const auto file = hdf5::open_file(temporary());
  for (const auto& [path, hash] : written_) {
    if (hash_array(hdf5::read_array(file, path)) == hash) continue;
    throw EnvironmentError(
        fmt::format("'{}' read back from {} is not what was written (the disk or the file system is "
                    "failing), choose another storage.output_dir",
                    path, temporary().string()));
  }
}

std::vector<EpochLink> list_epoch_links(const fs::path& segment) {
  std::vector<EpochLink> links;
  const auto file = hdf5::open_file(segment);
  for (const std::string view : {"gop_full", "gop_layers"}) {
    if (!hdf5::exists(file, view)) continue;
    for (const auto& group : hdf5::list_children(hdf5::open_group(file, view))) {
      links.push_back({view, group, segment.filename().string()});
    }
  }
  return links;
}

}  // namespace grokscope
