// How many neurons bend the network close to a point? (Humayun et al. 2024, section 2)
// LC(x) counts the units, outputs included, whose pre-activation has not the same sign at all vertices x + r v, x - r v of
// a cross-polytope with orthonormal directions v: the hyperplanes that pass through the neighbourhood of x.
#pragma once

#include "nn/model.hpp"
#include "train/task.hpp"

namespace grokscope::humayun {

/// `count` random orthonormal rows [count, d], float64, count <= d.
at::Tensor orthonormal_directions(std::int64_t count, std::int64_t d, std::uint64_t seed);

/// LC of every point [n, d], as [n] int64. `directions` [k, d] in the type of the points. The model must be a chain of
/// linear layers with activations that keep the sign: its tape names the pre-activations. Local.
at::Tensor local_complexity(const Model& model, const at::Tensor& points, const at::Tensor& directions, double radius);

/// Mean over the points; counts are whole, so that the number of processes does not matter. Every process calls it.
double mean_local_complexity(const Model& model, const at::Tensor& points, const at::Tensor& directions, double radius,
                             const Spread& spread);

}  // namespace grokscope::humayun
