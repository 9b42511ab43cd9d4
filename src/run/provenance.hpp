// Where do these numbers come from? Versions, hosts, environment, arguments: /provenance of every file.
#pragma once

#include <string>
#include <vector>

#include "comm/communicator.hpp"
#include "comm/environment.hpp"
#include "io/attributes.hpp"

namespace grokscope {

/// What distinguishes one launch from another. Collective (hosts of all ranks).
Attributes provenance(const Communicator& comm, const LaunchInfo& launch, const std::vector<std::string>& arguments);

/// What of two launches of the same run keeps the second from going on bit by bit: rank count, processor, BLAS kernels,
/// versions; one "ranks 2 -> 3" each. Local.
std::vector<std::string> launch_differences(const Attributes& before, const Attributes& now);

/// Versions of this program and of every library, one per line.
std::string version_text();

}  // namespace grokscope
