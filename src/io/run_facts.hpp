// What does every file of a run say about the run itself?
// The parameters and their places in the flat vector, the events found so far, who launched it and with what.
// Held by the root's RunWriter, stored in each checkpoint, shown in metrics.h5 and the GOP files.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/named_array.hpp"
#include "io/attributes.hpp"

namespace grokscope::hdf5 {
class Handle;
}

namespace grokscope {

/// One parameter and its place in the flat vector of length P.
struct ParameterRow {
  std::string name;
  std::string layer;
  std::vector<std::int64_t> shape;
  std::int64_t offset = 0;
  std::int64_t size = 0;
};

/// One fact about the whole run, such as the step at which it generalised.
struct SummaryEntry {
  std::string name;
  Attribute value;
  Description description;  ///< a text may go without
  std::string over = {};    ///< of a list: the list that it runs along
};
using Summary = std::vector<SummaryEntry>;

struct RunFacts {
  std::vector<NamedArray> fixed;                ///< arrays that never change, at the root of metrics.h5; each launch gives them
  Attributes root;  ///< root attributes of every published file
  std::vector<ParameterRow> parameters;
  std::map<std::string, Summary> summaries;     ///< by group: "events"
  std::vector<Attributes> launches;             ///< provenance, one entry per launch
};

/// Writes the group `parameters`: name, layer, offset, size, and shape as [n, r], filled with 0 past a
/// parameter's rank.
void write_parameters(const hdf5::Handle& parent, const std::vector<ParameterRow>& parameters);
std::vector<ParameterRow> read_parameters(const hdf5::Handle& parent);

/// Writes the group `path`: numbers as datasets, for a script; numbers and texts as attributes, for a person.
void write_summary(const hdf5::Handle& parent, const std::string& path, const Summary& summary);
/// Reads it back, sorted by name.
Summary read_summary(const hdf5::Handle& parent, const std::string& path);

/// Writes /provenance/launch_<k>. Texts that are too long for an attribute become datasets of that group.
void write_launches(const hdf5::Handle& file, const std::vector<Attributes>& launches);
std::vector<Attributes> read_launches(const hdf5::Handle& file);

}  // namespace grokscope
