// Of which examples are the gradients looked at, and what are these gradients now?
#pragma once

#include "gradients/gradient_matrix.hpp"
#include "probes/gop_options.hpp"
#include "train/task.hpp"

namespace grokscope {

/// Throws UserError where the tracked split is empty. Local.
void check_tracked_examples(const DataSplits& data, const GopTrackingOptions& options);

/// The tracked split, or the seeded subset of it that the options ask for, in the order of the split. Local.
Dataset tracked_examples(const DataSplits& data, const GopTrackingOptions& options, std::uint64_t seed);

/// The gradients of `examples` at the present parameters, dealt to the ranks in order: a pass of its own, a chunk of
/// examples at a time, without the noise of training. Collective over comm.
GradientMatrix gradients_of(const Communicator& comm, const Task& task, const Dataset& examples);

}  // namespace grokscope
