#include "nn/folded_mlp.hpp"

#include <cmath>

namespace grokscope {
namespace {

enum Index : std::size_t { kEmbed, kIn, kOut, kUnembed };

}  // namespace

FoldedMlp::FoldedMlp(const FoldedMlpShape& shape, std::uint64_t seed) : shape_(shape) {
  const auto add = [&](const std::string& name, const std::string& layer, std::int64_t rows, std::int64_t cols,
                       std::int64_t inverse_variance) {
    const double std = 1 / std::sqrt(static_cast<double>(inverse_variance));
    parameters.add(name, layer, normal_init({rows, cols}, std, seed, name));
  };
  add("embed.W_E", "embed", shape.d_model, shape.p, shape.p);
  add("mlp.W_in", "mlp.in", shape.d_mlp, shape.d_model, shape.d_model);
  add("mlp.W_out", "mlp.out", shape.d_model, shape.d_mlp, shape.d_mlp);
  add("unembed.W_U", "unembed", shape.d_model, shape.p, shape.d_model);
}

at::Tensor FoldedMlp::forward(const at::Tensor& inputs, Tape& tape) const {
  const auto &w_e = parameters[kEmbed].value, &w_in = parameters[kIn].value, &w_out = parameters[kOut].value,
             &w_u = parameters[kUnembed].value;
  const auto rows = at::mm(w_e.t(), w_in.t());  // [p, d_mlp]: W_in W_E e_a for every token a
  const auto a = inputs.select(1, 0), b = inputs.select(1, 1);
  const auto before = at::embedding(rows, a) + at::embedding(rows, b);
  const auto hidden = at::relu(before);
  const auto logits = at::mm(hidden, at::mm(w_out.t(), w_u));
  if (!tape.is_active()) return logits;

  const auto dz = tape.observe(before), dl = tape.observe(logits);
  const auto tokens = at::zeros({inputs.size(0), shape_.p}, w_e.options().requires_grad(false))
                          .scatter_add_(1, inputs, at::ones_like(inputs, w_e.options().requires_grad(false)));
  const auto embedded = at::mm(tokens, w_e.detach().t());
  const auto h = hidden.detach();
  tape.record(parameters[kEmbed], [dz, tokens, w = w_in.detach()](const Tape::Gradients& g) {
    return Use{Factor::dense(at::mm(g[dz], w)), Factor::dense(tokens)};
  });
  tape.record(parameters[kIn], [dz, embedded](const Tape::Gradients& g) {
    return Use{Factor::dense(g[dz]), Factor::dense(embedded)};
  });
  tape.record(parameters[kOut], [dl, h, w = w_u.detach()](const Tape::Gradients& g) {
    return Use{Factor::dense(at::mm(g[dl], w.t())), Factor::dense(h)};
  });
  tape.record(parameters[kUnembed], [dl, out = at::mm(h, w_out.detach().t())](const Tape::Gradients& g) {
    return Use{Factor::dense(out), Factor::dense(g[dl])};
  });
  return logits;
}

}  // namespace grokscope
