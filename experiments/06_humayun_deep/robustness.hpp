// Which share of the test images is still answered rightly under attack, and how much of that is to be believed?
// PGD accuracy is the paper's number. A network whose gradients have faded defeats PGD without being robust (gradient
// masking, Athalye et al. 2018), so that beside it stand attacks which need no gradient of the present network, or need it
// less: longer PGD, PGD on the margin, and adversarial images made on an early state of the same network.
#pragma once

#include <string>
#include <vector>

#include "base/schema.hpp"
#include "experiments/06_humayun_deep/attack.hpp"
#include "train/task.hpp"

namespace grokscope::humayun {

struct RobustnessOptions {
  std::int64_t images = 500;
  std::vector<double> radii{0.03, 0.06, 0.1, 0.13, 0.16, 0.2};
  std::int64_t pgd_steps = 15;
  double pgd_step = 4.0 / 255;
  std::int64_t strong_images = 200;
  std::vector<double> strong_radii{0.03, 0.06, 0.1, 0.2};
  std::int64_t long_pgd_steps = 100;
  std::int64_t margin_steps = 60;
  std::int64_t transfer_from_step = 1000;
  void declare(Schema& s);
};

/// Shares of right answers.
struct Robustness {
  double clean = 0;                ///< of the attacked images, before the attack
  std::vector<double> pgd;         ///< one for each of `radii`
  std::vector<double> worst_case;  ///< one for each of `strong_radii`: right clean and under every attack up to that radius
  std::vector<double> transfer;    ///< the same radii: images that fool the early model; empty without one
  double input_gradient_l1 = 0;    ///< median over images of |d cross-entropy / d image|_1
};

/// Every `k`-th of n images, `count` of them, evenly spread: positions [count] int64.
at::Tensor evenly_spread(std::int64_t n, std::int64_t count);

/// Attacks `images` from `starts` (entries in -1..1, scaled by the radius). `early` may be null. Works on portions of
/// fixed size, so that the same weights give the same numbers for every number of processes. Every process calls it.
Robustness measure_robustness(const Model& model, const Model* early, const Images& images, const at::Tensor& starts,
                              const RobustnessOptions& options, const Spread& spread);

}  // namespace grokscope::humayun
