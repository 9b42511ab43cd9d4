// G^T G, P x P or a block of it, from explicit per-example gradients made a chunk at a time.
#pragma once

#include "gradients/gram.hpp"
#include "gradients/materialise.hpp"

namespace grokscope {

/// Adds the sum over examples of g_i g_i^T, restricted to the flat parameters `parameters`, to `target` (row and column 0
/// are parameters.begin). Part::lower leaves what is wholly above the diagonal untouched. The taps of these parameters go, a
/// chunk of examples at a time, to every rank that holds a part of `target`; it makes the elements of its rows and columns
/// only. A chunk has 512 examples, or fewer where their elements would take more than 268 MB. Memory per rank: the taps of
/// a chunk, and chunk x (local rows + local columns) doubles, at most twice while they are made. Collective.
void add_panel(const GradientMatrix& g, IndexRange parameters, Part part, const BlockCyclicTarget& target,
               const std::function<void()>& poll);

}  // namespace grokscope
