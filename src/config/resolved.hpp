// What does a run really use, and is it the same as before?
// The resolved configuration holds every key with its value: config.yaml and config.json of a run directory.
// Its fingerprint says whether two runs are the same experiment.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/node.hpp"
#include "base/schema.hpp"

namespace grokscope {

/// Every key of every section with its present value, in the order of declaration. Local, like everything
/// here.
Node resolved(const Schemas& schemas, Content content = Content::all);

/// The same as YAML, each key with its unit and meaning as a comment. Read back it gives the identical
/// values.
std::string resolved_yaml(const Schemas& schemas);

/// The same as JSON; inf and nan, which JSON does not have, become the texts ".inf", "-.inf" and ".nan".
std::string resolved_json(const Schemas& schemas);

/// Hash of the scientific values, the same for any order of sections and keys. `excluded`: key paths left
/// out, with everything below them.
std::uint64_t fingerprint(const Schemas& schemas, std::span<const std::string> excluded = {});

struct Difference {
  std::string path;
  std::string before;  ///< one line of YAML, or "absent"
  std::string after;
  bool scientific = true;

  /// "training.lr 0.01 -> 0.02"
  std::string text() const;
};

/// Lists the keys whose values differ between an earlier document (a run's config.yaml) and the present
/// values; 1e-2 and 0.01 do not. A key that only one of them has is a difference.
std::vector<Difference> difference(const Node& before, const Schemas& after);

}  // namespace grokscope
