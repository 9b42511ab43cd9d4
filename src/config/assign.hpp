// Does this document fit the schemas, and what do the options become?
#pragma once

#include "base/node.hpp"
#include "base/schema.hpp"

namespace grokscope {

/// Reads the document into the fields of every section. Local. Throws one UserError that lists every unknown
/// section and key, wrong type, value out of range and missing key, in the order of the document; the fields
/// are then unspecified.
void assign(const Node& root, const Schemas& schemas);

}  // namespace grokscope
