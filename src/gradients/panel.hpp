// G^T G, P x P or a block of it, from explicit per-example gradients made a chunk at a time.
#pragma once

#include "gradients/gram.hpp"
#include "gradients/materialise.hpp"

namespace grokscope {

/// Adds the sum over examples of g_i g_i^T, restricted to the flat parameters `parameters`, to `target` (row and column 0
/// are parameters.begin). Part::lower leaves what is wholly above the diagonal untouched. Example chunks go to all ranks,
/// each materialises its rows and columns only. Memory per rank: chunk x (local rows + local columns). Collective.
void add_panel(const GradientMatrix& g, IndexRange parameters, Part part, const BlockCyclicTarget& target,
               const std::function<void()>& poll);

}  // namespace grokscope
