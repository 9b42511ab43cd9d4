#include "io/checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <tuple>

#include "base/hash.hpp"
#include "io/durable_file.hpp"
#include "io/hdf5.hpp"

namespace grokscope {

namespace fs = std::filesystem;

namespace {

/// Groups of the record; arrays of the state lie beside them.
constexpr std::array kRecordGroups{"commit/", "cursor/", "provenance/", "summaries/"};

bool is_state(const std::string& dataset) {
  return std::ranges::none_of(kRecordGroups, [&](const char* group) { return dataset.starts_with(group); });
}

/// A parameter carries its place in the flat vector as attributes: a table here would be mistaken for a
/// parameter.
Attributes place_of(const NamedArray& array, const std::vector<ParameterRow>& parameters) {
  for (const auto& row : parameters) {
    if (array.name == "parameters/" + row.name) {
      return {{"layer", row.layer}, {"offset", row.offset}, {"size", row.size}};
    }
  }
  return {};
}

void write_commit_record(const hdf5::Handle& file, const CommitRecord& record) {
  std::vector<std::string> names;
  std::vector<std::int64_t> bytes;
  std::vector<std::uint64_t> hashes;
  std::vector<std::uint8_t> matrices;
  for (const auto& entry : record.files) {
    names.push_back(entry.name);
    bytes.push_back(entry.bytes);
    hashes.push_back(entry.hash);
    matrices.push_back(entry.is_matrix ? 1 : 0);
  }
  const auto n = static_cast<std::int64_t>(names.size());
  const auto group = hdf5::require_group(file, "commit");
  hdf5::write_attributes(group, {{"csv_bytes", record.csv_bytes}});
  const auto write = [&](NamedArray array, Description description) {
    const auto name = array.name;
    hdf5::write_array(group, name, std::move(array).described(std::move(description)));
  };
  hdf5::write_texts(group, "file", names, {"file", "1", "name below .segments/; this commit relies on it"});
  write(NamedArray::from<std::int64_t>("bytes", {n}, bytes), {"size of the file", "byte", "when it was committed"});
  write(NamedArray::from<std::uint64_t>("hash", {n}, hashes),
        {"hash of the file", "1", "XXH3 of its bytes; for a matrix, of its panel hashes"});
  write(NamedArray::from<std::uint8_t>("is_matrix", {n}, matrices),
        {"is a matrix", "1", "1 for the file of one matrix, 0 for a segment"});
}

/// Opens a checkpoint whose content is what was written.
hdf5::Handle open_whole(const fs::path& path) {
  auto file = hdf5::open_file(path);
  const auto stored = attribute_value<std::string>(hdf5::read_attributes(file), "content_hash");
  if (stored == hex(hdf5::content_hash(file))) return file;
  throw EnvironmentError(
      fmt::format("{} is damaged (its content does not have the hash it was written with), use "
                  "another checkpoint",
                  path.string()));
}

}  // namespace

void write_checkpoint(const fs::path& path, const Checkpoint& checkpoint, const CommitRecord& record,
                      const RunFacts& facts) {
  auto file = hdf5::create_file(path);
  hdf5::write_attributes(file,
                         {{"format", "grokscope 1"}, {"epoch", checkpoint.epoch}, {"step", checkpoint.step}});
  hdf5::write_attributes(file, facts.root);
  hdf5::write_attributes(hdf5::require_group(file, "cursor"), checkpoint.cursor);
  for (const auto& array : checkpoint.arrays) {
    require(is_state(array.name), "an array of the state has the name of a group of the commit record");
    hdf5::write_array(file, array.name, array, place_of(array, facts.parameters));
  }
  write_commit_record(file, record);
  write_parameters(hdf5::open_group(file, "commit"), facts.parameters);
  for (const auto& [group, summary] : facts.summaries) write_summary(file, "summaries/" + group, summary);
  write_launches(file, facts.launches);
  hdf5::write_attributes(file, {{"content_hash", hex(hdf5::content_hash(file))}});
  file.close();
}

Checkpoint read_checkpoint(const fs::path& path) {
  const auto file = open_whole(path);
  const auto attributes = hdf5::read_attributes(file);
  Checkpoint checkpoint;
  checkpoint.epoch = attribute_value<std::int64_t>(attributes, "epoch");
  checkpoint.step = attribute_value<std::int64_t>(attributes, "step");
  checkpoint.cursor = hdf5::read_attributes(hdf5::open_group(file, "cursor"));
  checkpoint.file_name = path.filename().string();
  for (const auto& dataset : hdf5::list_datasets(file)) {
    if (is_state(dataset)) checkpoint.arrays.push_back(hdf5::read_array(file, dataset));
  }
  return checkpoint;
}

CommitRecord read_commit_record(const fs::path& path, RunFacts& facts) {
  const auto file = open_whole(path);
  const auto group = hdf5::open_group(file, "commit");
  CommitRecord record;
  record.csv_bytes = attribute_value<std::int64_t>(hdf5::read_attributes(group), "csv_bytes");
  const auto names = hdf5::read_texts(group, "file");
  const auto bytes = hdf5::read_array(group, "bytes");
  const auto hashes = hdf5::read_array(group, "hash");
  const auto matrices = hdf5::read_array(group, "is_matrix");
  for (std::size_t i = 0; i < names.size(); ++i) {
    record.files.push_back({names[i], bytes.values<std::int64_t>()[i], hashes.values<std::uint64_t>()[i],
                            matrices.values<std::uint8_t>()[i] != 0});
  }
  facts.parameters = read_parameters(group);
  facts.summaries.clear();
  if (hdf5::exists(file, "summaries")) {
    const auto summaries = hdf5::open_group(file, "summaries");
    for (const auto& name : hdf5::list_children(summaries)) {
      facts.summaries[name] = read_summary(summaries, name);
    }
  }
  facts.launches = read_launches(file);
  return record;
}

std::vector<CheckpointEntry> list_checkpoints(const fs::path& run_directory) {
  std::vector<CheckpointEntry> entries;
  const auto folder = run_directory / "checkpoints";
  if (!fs::exists(folder)) return entries;
  for (const auto& found : fs::directory_iterator(folder)) {
    if (found.path().extension() != ".h5") continue;
    CheckpointEntry entry{found.path(), -1, -1, ""};
    try {
      const auto attributes = hdf5::read_attributes(hdf5::open_file(entry.path));
      entry.epoch = attribute_value<std::int64_t>(attributes, "epoch");
      entry.step = attribute_value<std::int64_t>(attributes, "step");
    } catch (const DiskError&) {
      throw;  // whether it can be opened is not known
    } catch (const EnvironmentError& error) {
      entry.problem = error.what();
    }
    entries.push_back(std::move(entry));
  }
  std::ranges::sort(entries, {},
                    [](const auto& entry) { return std::tuple(entry.step, entry.epoch, entry.path); });
  return entries;
}

}  // namespace grokscope
