#include "nn/transformer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "base/error.hpp"
#include "nn/layers.hpp"

namespace grokscope {

using Norm = TransformerShape::Norm;
using Init = TransformerShape::Init;

TransformerShape TransformerShape::gpt2() {
  TransformerShape s;
  s.d_model = 768;
  s.heads = 12;
  s.d_mlp = 3072;
  s.blocks = 12;
  s.norm = Norm::pre;
  s.final_norm = s.bias = s.tied = true;
  s.activation = "gelu_tanh";
  s.positions = Positions::learned;
  s.position_rows = 1024;
  s.init = Init::normal;
  return s;
}

void TransformerShape::declare_widths(Schema& model) {
  model.add("blocks", blocks, "transformer blocks").at_least(1);
  model.add("d_model", d_model, "width of the residual stream").at_least(1);
  model.add("heads", heads, "attention heads; must divide d_model").at_least(1);
  model.add("d_mlp", d_mlp, "hidden units of each MLP").at_least(1);
}

void TransformerShape::check_widths(Problems& problems) const {
  if (d_model % heads == 0) return;
  problems.add("model.heads", fmt::format("{} does not divide d_model = {}", heads, d_model), "every head has the same width",
               "use a divisor");
}

Transformer::Transformer(TransformerShape shape, std::uint64_t seed) : shape_(std::move(shape)), seed_(seed) {
  auto& s = shape_;
  require(s.d_model % s.heads == 0, "d_model must be a multiple of the number of heads");
  const bool is_ascending = std::adjacent_find(s.read.begin(), s.read.end(), std::greater_equal<>()) == s.read.end();
  require(!s.read.empty() && is_ascending && s.read.front() >= 0 && s.read.back() < s.tokens,
          "the positions read must be ascending and inside the input");
  if (s.outputs == 0) s.outputs = s.vocabulary;
  if (s.position_rows == 0) s.position_rows = s.tokens;
  require(s.outputs <= s.vocabulary && s.position_rows >= s.tokens, "more outputs than tokens, or too few positions");
  used_tokens_ = s.read.back() + 1;
  embedding_ = add_table("embed.W_E", "embed", s.vocabulary);
  if (s.positions == TransformerShape::Positions::learned) {
    positions_ = add_table("pos_embed.W_pos", "pos_embed", s.position_rows);
  }
  for (std::int64_t b = 0; b < s.blocks; ++b) blocks_.push_back(add_block(b));
  if (s.final_norm) final_norm_ = add_norm("final_norm");
  if (!s.tied) {
    const auto bound = 1 / std::sqrt(static_cast<double>(s.d_model));
    const std::string name = "unembed.W_U";
    unembedding_ = parameters.add(name, "unembed",
                                  s.init == Init::uniform ? uniform_init({s.outputs, s.d_model}, bound, seed_, name)
                                                          : normal_init({s.outputs, s.d_model}, s.init_std, seed_, name));
  }
}

std::size_t Transformer::add_table(const std::string& name, const std::string& layer, std::int64_t rows) {
  const double std = shape_.init == Init::uniform ? 1 : shape_.init_std;
  return parameters.add(name, layer, normal_init({rows, shape_.d_model}, std, seed_, name));
}

Transformer::Pair Transformer::add_affine(const std::string& layer, const std::string& suffix, std::int64_t d_out,
                                          std::int64_t d_in, double scale) {
  const auto prefix = layer.substr(0, layer.rfind('.') + 1);
  const auto weight = prefix + "W_" + suffix, bias = prefix + "b_" + suffix;
  const double bound = 1 / std::sqrt(static_cast<double>(d_in));
  const bool is_uniform = shape_.init == Init::uniform;
  Pair pair;
  pair.weight = parameters.add(weight, layer, is_uniform ? uniform_init({d_out, d_in}, bound, seed_, weight)
                                                         : normal_init({d_out, d_in}, scale * shape_.init_std, seed_, weight));
  if (shape_.bias) {
    pair.bias = parameters.add(bias, layer, is_uniform ? uniform_init({d_out}, bound, seed_, bias)
                                                       : at::zeros({d_out}, at::kDouble));
  }
  return pair;
}

Transformer::Pair Transformer::add_norm(const std::string& layer) {
  const auto gain = parameters.add(layer + ".gain", layer, at::ones({shape_.d_model}, at::kDouble));
  return {gain, parameters.add(layer + ".bias", layer, at::zeros({shape_.d_model}, at::kDouble))};
}

Transformer::Block Transformer::add_block(std::int64_t b) {
  const auto& s = shape_;
  const auto d = s.d_model;
  const double residual = s.init_scales_residual ? 1 / std::sqrt(2.0 * static_cast<double>(s.blocks)) : 1;
  const auto name = fmt::format("blocks.{}.", b);
  const auto attention = [&](const char* suffix, double scale) {
    return add_affine(name + "attn.W_" + suffix, suffix, d, d, scale);
  };
  Block block;
  if (s.norm != Norm::none) block.norm_1 = add_norm(name + "norm_1");
  block.query = attention("Q", 1);
  block.key = attention("K", 1);
  block.value = attention("V", 1);
  block.output = attention("O", residual);
  if (s.norm != Norm::none) block.norm_2 = add_norm(name + "norm_2");
  block.in = add_affine(name + "mlp.in", "in", s.d_mlp, d, 1);
  block.out = add_affine(name + "mlp.out", "out", d, s.d_mlp, residual);
  return block;
}

Affine Transformer::affine(const Pair& pair) const {
  return {&parameters[pair.weight], pair.bias == kNone ? nullptr : &parameters[pair.bias]};
}

at::Tensor Transformer::norm(const at::Tensor& x, const Pair& pair, Tape& tape) const {
  return layer_norm(x, parameters[pair.weight], parameters[pair.bias], tape);
}

bool Transformer::is_stochastic() const {
  return shape_.embedding_dropout > 0 || shape_.attention_dropout > 0 || shape_.residual_dropout > 0;
}

at::Tensor Transformer::forward(const at::Tensor& inputs, Tape& tape) const {
  return run(inputs, TrainingNoise::none(), tape);
}

at::Tensor Transformer::forward_with_noise(const at::Tensor& inputs, const TrainingNoise& noise) const {
  auto tape = Tape::inactive();
  return run(inputs, noise, tape);
}

at::Tensor Transformer::features(const at::Tensor& inputs) const {
  at::NoGradGuard no_grad;
  auto tape = Tape::inactive();
  const auto x = run_blocks(inputs, TrainingNoise::none(), tape);
  return shape_.read.size() == 1 ? x.squeeze(1) : x;
}

at::Tensor Transformer::run(const at::Tensor& inputs, const TrainingNoise& noise, Tape& tape) const {
  const auto logits = unembed(run_blocks(inputs, noise, tape), tape);
  return shape_.read.size() == 1 ? logits.squeeze(1) : logits;
}

at::Tensor Transformer::run_blocks(const at::Tensor& inputs, const TrainingNoise& noise, Tape& tape) const {
  require(inputs.dim() == 2 && inputs.size(1) == shape_.tokens, "a transformer's inputs must be [n, tokens]");
  std::vector<std::int64_t> all(static_cast<std::size_t>(used_tokens_));
  std::iota(all.begin(), all.end(), 0);
  auto x = noise.dropout(embed(inputs.slice(1, 0, used_tokens_), tape), shape_.embedding_dropout, "embed");
  for (std::size_t b = 0; b < blocks_.size(); ++b) {
    x = run_block(b, x, b + 1 == blocks_.size() ? shape_.read : all, noise, tape);
  }
  return shape_.final_norm ? norm(x, final_norm_, tape) : x;
}

at::Tensor Transformer::embed(const at::Tensor& tokens, Tape& tape) const {
  const auto rows = at::embedding(parameters[embedding_].value, tokens);
  const auto positions = positions_ == kNone ? sinusoid_positions(used_tokens_, shape_.d_model).to(rows.options())
                                             : parameters[positions_].value.slice(0, 0, used_tokens_);
  const auto x = rows + positions;
  if (tape.is_active()) record_embedding(tokens, x, tape);
  return x;
}

void Transformer::record_embedding(const at::Tensor& tokens, const at::Tensor& x, Tape& tape) const {
  const auto slot = tape.observe(x);
  const auto record = [&](const at::Tensor& places, const at::Tensor& index, bool shared) {
    if (places.numel() == 0) return;
    tape.record(parameters[embedding_], [=, rows = shape_.vocabulary](const Tape::Gradients& b) {
      const auto out = shared ? Factor::shared_one_hot(index, rows) : Factor::one_hot(index, rows);
      return Use{out, Factor::dense(b[slot].index_select(1, places), 1, places.numel()), 1, places.numel()};
    });
  };
  std::vector<std::int64_t> free, fixed, ids;
  for (std::int64_t t = 0; t < used_tokens_; ++t) {
    const auto known = std::find_if(shape_.fixed_tokens.begin(), shape_.fixed_tokens.end(),
                                    [&](const auto& f) { return f.position == t; });
    if (known == shape_.fixed_tokens.end()) {
      free.push_back(t);
      continue;
    }
    require(tokens.select(1, t).eq(known->token).all().item<bool>(), "a fixed token differs");
    fixed.push_back(t);
    ids.push_back(known->token);
  }
  const auto places = [&](const std::vector<std::int64_t>& list) { return at::tensor(list, tokens.options()); };
  record(places(free), tokens.index_select(1, places(free)), false);
  record(places(fixed), places(ids).unsqueeze(0), true);
  if (positions_ == kNone) return;
  tape.record(parameters[positions_], [=, used = used_tokens_, rows = shape_.position_rows](const Tape::Gradients& b) {
    const auto index = at::arange(used, tokens.options()).unsqueeze(0);
    return Use{Factor::shared_one_hot(index, rows), Factor::dense(b[slot], 1, used), 1, used};
  });
}

at::Tensor Transformer::run_block(std::size_t b, const at::Tensor& x, const std::vector<std::int64_t>& read,
                                  const TrainingNoise& noise, Tape& tape) const {
  const auto& block = blocks_[b];
  const auto name = fmt::format("blocks.{}", b);
  const auto before = [&](const at::Tensor& y, const Pair& pair) { return shape_.norm == Norm::pre ? norm(y, pair, tape) : y; };
  const auto after = [&](const at::Tensor& y, const Pair& pair) { return shape_.norm == Norm::post ? norm(y, pair, tape) : y; };
  const AttentionLayer attention{affine(block.query), affine(block.key), affine(block.value), affine(block.output),
                                 shape_.heads, shape_.attention_dropout, name + ".attn"};
  const auto attended = causal_attention(before(x, block.norm_1), read, attention, noise, tape);
  const auto middle = after(at_positions(x, read) + noise.dropout(attended, shape_.residual_dropout, name + ".attn.out"),
                            block.norm_1);
  const auto in = affine(block.in), out = affine(block.out);
  const auto hidden = activate(linear(before(middle, block.norm_2), *in.weight, in.bias, tape), shape_.activation);
  const auto mapped = linear(hidden, *out.weight, out.bias, tape);
  return after(middle + noise.dropout(mapped, shape_.residual_dropout, name + ".mlp.out"), block.norm_2);
}

at::Tensor Transformer::unembed(const at::Tensor& x, Tape& tape) const {
  if (!shape_.tied) return linear(x, parameters[unembedding_], nullptr, tape);
  const auto& table = parameters[embedding_];
  auto untied = Tape::inactive();
  const Parameter head{table.name, table.layer, table.value.slice(0, 0, shape_.outputs), table.offset};
  const auto logits = linear(x, head, nullptr, untied);
  if (tape.is_active()) {
    const auto missing = shape_.vocabulary - shape_.outputs, read = x.size(1);
    tape.record(table, [=, slot = tape.observe(logits), input = x.detach()](const Tape::Gradients& b) {
      return Use{Factor::dense(at::constant_pad_nd(b[slot], {0, missing}), 1, read), Factor::dense(input, 1, read), 1, read};
    });
  }
  return logits;
}

}  // namespace grokscope
