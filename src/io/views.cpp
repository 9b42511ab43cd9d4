#include "io/views.hpp"

#include <cctype>
#include <functional>
#include <string>
#include <vector>

#include "io/durable_file.hpp"
#include "io/hdf5.hpp"
#include "io/plots.hpp"

namespace grokscope {

namespace fs = std::filesystem;

namespace {

void publish(const fs::path& path, const RunFacts& facts, CommitPoint committed,
             const std::function<void(const hdf5::Handle&)>& fill) {
  const auto temporary = temporary_of(path);
  auto file = hdf5::create_file(temporary);
  hdf5::write_attributes(file, facts.root);
  hdf5::write_attributes(
      file,
      {{"format", "grokscope 1"}, {"committed_epoch", committed.epoch}, {"committed_step", committed.step}});
  write_parameters(file, facts.parameters);
  fill(file);
  file.close();
  publish_file(temporary, path);
}

/// {1000} of "epoch_1000", {5, 123} of "epoch_5_step_123": the order of moments.
std::vector<std::int64_t> numbers_in(const std::string& group) {
  std::vector<std::int64_t> numbers;
  for (std::size_t i = 0; i < group.size(); ++i) {
    if (!std::isdigit(static_cast<unsigned char>(group[i]))) continue;
    std::size_t length = 0;
    numbers.push_back(std::stoll(group.substr(i), &length));
    i += length - 1;
  }
  return numbers;
}

}  // namespace

void publish_metrics(const fs::path& path, std::span<const TableSource> sources, const RunFacts& facts,
                     CommitPoint committed) {
  publish(path, facts, committed, [&](const hdf5::Handle& file) {
    concatenate_tables(sources, file);
    write_plots(file);
    for (const auto& [name, summary] : facts.summaries) write_summary(file, name, summary);
    for (const auto& array : facts.fixed) hdf5::write_array(file, array.name, array);
    write_launches(file, facts.launches);
  });
}

void publish_links(const fs::path& path, const std::string& view, std::span<const EpochLink> links,
                   const RunFacts& facts, CommitPoint committed) {
  publish(path, facts, committed, [&](const hdf5::Handle& file) {
    std::string newest;
    for (const auto& link : links) {
      if (link.view != view) continue;
      hdf5::link_external(file, link.group, ".segments/" + link.segment, "/" + view + "/" + link.group);
      if (numbers_in(newest) < numbers_in(link.group)) newest = link.group;
    }
    hdf5::write_attributes(file, {{"NX_class", "NXroot"}});
    if (!newest.empty()) hdf5::write_attributes(file, {{"default", newest}});  // where viewers find a spectrum to draw
  });
}

}  // namespace grokscope
