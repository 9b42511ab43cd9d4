// Which checkpoints may go?
// A pure rule over their epochs: the newest, every m-th, those that somebody named, and those around generalisation stay.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace grokscope {

struct Retention {
  int keep_last = 0;                      ///< number of newest checkpoints to keep, 0 for all
  std::int64_t keep_every = 0;            ///< of older ones, keep those of epochs divisible by this; 0 for none
  std::vector<std::int64_t> keep_epochs;  ///< always kept
  int keep_around = 0;                    ///< of older ones, keep so many before `center` and from it on
  std::optional<std::int64_t> center;     ///< epoch; while there is none, so many newest stay as may be needed then
};

/// Positions of the checkpoints to delete, ascending. `epochs`: of all checkpoints, oldest first.
std::vector<std::size_t> surplus_checkpoints(std::span<const std::int64_t> epochs, const Retention& rule);

}  // namespace grokscope
