#include "nn/power_mlp.hpp"

#include <fmt/format.h>

#include "nn/layers.hpp"

namespace grokscope {

PowerMlp::PowerMlp(const PowerMlpShape& shape, std::uint64_t seed) : shape_(shape) {
  for (std::int64_t s = 1; s <= shape.terms; ++s) {
    const auto name = fmt::format("U_{}", s);
    parameters.add(name, name, normal_init({shape.p, shape.width}, shape.init_std, seed, name));
  }
  parameters.add("W", "W", normal_init({shape.p, shape.width}, shape.init_std, seed, "W"));
}

at::Tensor PowerMlp::forward(const at::Tensor& inputs, Tape& tape) const {
  at::Tensor sum;
  for (std::int64_t s = 0; s < shape_.terms; ++s) {
    const auto rows = at::embedding(parameters[static_cast<std::size_t>(s)].value, inputs.select(1, s));
    sum = sum.defined() ? sum + rows : rows;
  }
  if (tape.is_active()) {
    const auto slot = tape.observe(sum);
    for (std::int64_t s = 0; s < shape_.terms; ++s) {
      tape.record(parameters[static_cast<std::size_t>(s)],
                  [slot, index = inputs.slice(1, s, s + 1), p = shape_.p](const Tape::Gradients& b) {
                    return Use{Factor::one_hot(index, p), Factor::dense(b[slot])};
                  });
    }
  }
  const auto hidden = at::pow(sum, shape_.terms);
  return linear(hidden, parameters[static_cast<std::size_t>(shape_.terms)], nullptr, tape);
}

}  // namespace grokscope
