// Models small enough that every per-example gradient can be written down, and gradients given outright.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/block_cyclic.hpp"
#include "comm/communicator.hpp"
#include "gradients/gradient_matrix.hpp"
#include "nn/folded_mlp.hpp"
#include "nn/linear_model.hpp"
#include "nn/loss.hpp"
#include "nn/mlp.hpp"
#include "nn/one_layer_transformer.hpp"
#include "nn/pass.hpp"
#include "nn/power_mlp.hpp"

namespace grokscope {

struct SmallModel {
  std::string name;
  std::shared_ptr<Model> model;
  std::shared_ptr<Loss> loss;
  at::Tensor inputs;
  at::Tensor targets;
};

/// Integers in 0..p-1: [n, columns], or [n] for one column.
inline at::Tensor residues(std::int64_t n, std::int64_t p, const std::string& stream, std::int64_t columns) {
  const auto share = uniform_init({n, columns}, 0.5, 11, stream) + 0.5;
  const auto values = share.mul(static_cast<double>(p)).floor().to(at::kLong);
  return columns == 1 ? values.select(1, 0).contiguous() : values;
}

inline SmallModel small_linear(std::int64_t n, std::int64_t d_in, std::int64_t d_out) {
  return {"linear", std::make_shared<LinearModel>(normal_init({d_out, d_in}, 0.5, 1, "S")),
          regression_mse(1e-3), normal_init({n, d_in}, 1, 2, "x"), normal_init({n, d_out}, 1, 2, "y")};
}

inline SmallModel small_transformer(std::int64_t n) {
  return {"transformer", std::make_shared<OneLayerTransformer>(OneLayerTransformerShape{5, 8, 2, 12}, 9),
          cross_entropy(at::kDouble), residues(n, 5, "x", 2), residues(n, 5, "y", 1)};
}

inline SmallModel small_mlp(std::int64_t n) {
  return {"MLP", std::make_shared<Mlp>(MlpShape{{6, 9, 4}, "relu", true}, 2.0, 5), one_hot_mse(at::kDouble),
          normal_init({n, 6}, 1, 2, "x"), residues(n, 4, "y", 1)};
}

inline SmallModel small_power_mlp(std::int64_t n) {
  return {"power MLP", std::make_shared<PowerMlp>(PowerMlpShape{5, 4, 2, 0.5}, 7), one_hot_mse(at::kDouble),
          residues(n, 5, "x", 2), residues(n, 5, "y", 1)};
}

inline SmallModel small_folded_mlp(std::int64_t n) {
  return {"folded MLP", std::make_shared<FoldedMlp>(FoldedMlpShape{5, 8, 3}, 9), cross_entropy(at::kDouble),
          residues(n, 5, "x", 2), residues(n, 5, "y", 1)};
}

/// Both sides of every size: N < P for the first four, N > P for the last two.
inline std::vector<SmallModel> small_models() {
  return {small_transformer(19), small_folded_mlp(21), small_mlp(23), small_linear(13, 7, 3), small_linear(31, 5, 2),
          small_power_mlp(73)};
}

/// This rank's share of the gradients of a model. Collective.
inline GradientMatrix gradients_of(const Communicator& comm, const SmallModel& m) {
  const auto share = even_share(m.inputs.size(0), comm.size(), comm.rank());
  return GradientMatrix(comm, backward_pass(*m.model, *m.loss, m.inputs.slice(0, share.begin, share.end),
                                            m.targets.slice(0, share.begin, share.end), Taping::on)
                                  .taps);
}

/// G as given, [N, P] float64, as if it were one parameter. Collective.
inline GradientMatrix given_gradients(const Communicator& comm, const at::Tensor& g) {
  const auto share = even_share(g.size(0), comm.size(), comm.rank());
  const Use use{Factor::dense(g.slice(0, share.begin, share.end)), Factor::one(), 1, 1};
  return GradientMatrix(comm, Taps{share.size(), {{"w", "w", 0, g.size(1), 1, false, {use}}}});
}

/// Twelve small parameters with large factors: 4 x 4, by 64 tokens. Those of one parameter and example take 4096 bytes.
/// Collective.
inline GradientMatrix gradients_of_many_tokens(const Communicator& comm, std::int64_t n) {
  const auto share = even_share(n, comm.size(), comm.rank());
  Taps taps{share.size(), {}};
  for (std::int64_t k = 0; k < 12; ++k) {
    const auto factor = [&](const std::string& side) {
      const auto all = normal_init({n, 64, 4}, 1, 5, side + std::to_string(k));
      return Factor::dense(all.slice(0, share.begin, share.end).clone(), 1, 64);
    };
    const auto name = fmt::format("W{}", k);
    taps.taps.push_back({name, name, 16 * k, 4, 4, false, {Use{factor("out"), factor("in"), 1, 64}}});
  }
  return GradientMatrix(comm, std::move(taps));
}

}  // namespace grokscope
