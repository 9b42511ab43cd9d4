// Which small change of an image is answered wrongly?
// Projected gradient descent (Madry et al. 2018) in the l_inf ball around each image, within the valid range [0, 1].
#pragma once

#include <functional>

#include "nn/model.hpp"

namespace grokscope::humayun {

/// What an attack makes larger: one number an example [n] from outputs [n, classes] and classes [n].
using AttackLoss = std::function<at::Tensor(const at::Tensor& outputs, const at::Tensor& targets)>;

/// -log softmax(z)_y.
at::Tensor cross_entropy_attack(const at::Tensor& outputs, const at::Tensor& targets);
/// max_{c != y} z_c - z_y: positive when the answer is wrong. Its gradient does not fade when the softmax saturates.
at::Tensor margin_attack(const at::Tensor& outputs, const at::Tensor& targets);

/// Moves of an attack: x <- x + step sign(d loss / dx), projected back after each.
struct Ascent {
  AttackLoss loss;
  std::int64_t steps = 10;
  double step = 4.0 / 255;  ///< of the first move, in pixel units
  bool shrinks = false;     ///< move k of n has step (1 - k / n)
};

/// Clean images [n, d] in [0, 1], and their classes [n].
struct Images {
  at::Tensor inputs;
  at::Tensor targets;

  Images rows(std::int64_t begin, std::int64_t end) const;
};

struct Attacked {
  at::Tensor inputs;        ///< [n, d], where the last move ended
  at::Tensor fooled;        ///< [n] bool: wrong there
  at::Tensor fooled_ever;   ///< [n] bool: wrong at the start, there or anywhere between
};

/// Attacks every image within `radius` of it, from `start` [n, d], which is first brought within. Local.
Attacked attack(const Model& model, const Images& images, const at::Tensor& start, double radius, const Ascent& ascent);

/// [n] bool: wrong answers.
at::Tensor wrong(const Model& model, const at::Tensor& inputs, const at::Tensor& targets);

/// Independent U(-1, 1) entries [n, d] float64; row i depends on (seed, ids[i]) alone.
at::Tensor random_starts(const at::Tensor& ids, std::int64_t d, std::uint64_t seed);

}  // namespace grokscope::humayun
