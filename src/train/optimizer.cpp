#include "train/optimizer.hpp"

#include <fmt/format.h>
#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/sgd.h>

#include <algorithm>
#include <cmath>

#include "data/dataset.hpp"

namespace grokscope {
namespace {

/// Index of the first group that matches, or -1.
int group_of(const Parameter& parameter, const std::vector<ParameterGroup>& groups) {
  for (std::size_t g = 0; g < groups.size(); ++g) {
    if (parameter.name.find(groups[g].match) != std::string::npos) return static_cast<int>(g);
  }
  return -1;
}

/// A group that nobody is in is a misspelt name: its rates would silently not be used.
[[noreturn]] void fail_empty_group(const ParameterGroup& group, const ParameterSet& parameters) {
  std::string names;
  for (const auto& p : parameters.all()) names += (names.empty() ? "" : " ") + p.name;
  UserError error(fmt::format("training.parameter_groups: no parameter is left for the group that matches '{}' (its rates "
                              "would never be used), write a part of one of these names: {}", group.match, names));
  error.set_on_all_ranks();
  throw error;
}

std::string state_key(const Parameter& parameter) {
  return c10::guts::to_string(parameter.value.unsafeGetTensorImpl());
}

}  // namespace

struct Optimizer::Rule {
  std::unique_ptr<torch::optim::Optimizer> rule;
  std::vector<double> base_lr;  ///< one per torch parameter group

  /// Both Adam rules keep the same three things.
  template <class State>
  void collect(const Parameter& p, std::vector<NamedArray>& arrays) const {
    const auto found = rule->state().find(state_key(p));
    if (found == rule->state().end()) return;
    const auto& state = static_cast<const State&>(*found->second);
    arrays.push_back(to_named_array("optimizer/exp_avg/" + p.name, state.exp_avg())
                         .described({"first moment of " + p.name, "loss/parameter", "m <- beta_1 m + (1 - beta_1) g"}));
    arrays.push_back(to_named_array("optimizer/exp_avg_sq/" + p.name, state.exp_avg_sq())
                         .described({"second moment of " + p.name, "loss^2/parameter^2", "v <- beta_2 v + (1 - beta_2) g^2"}));
    arrays.push_back(NamedArray::scalar<std::int64_t>("optimizer/step/" + p.name, state.step())
                         .described({"updates of " + p.name, "1", "for the bias correction 1 - beta^step"}));
  }
  template <class State>
  void restore(const Parameter& p, std::span<const NamedArray> arrays) {
    auto state = std::make_unique<State>();
    const auto on_device = [&](const std::string& kind) {
      return to_tensor(find_array(arrays, "optimizer/" + kind + "/" + p.name)).to(p.value.device());
    };
    state->exp_avg(on_device("exp_avg"));
    state->exp_avg_sq(on_device("exp_avg_sq"));
    state->step(find_array(arrays, "optimizer/step/" + p.name).values<std::int64_t>()[0]);
    rule->state()[state_key(p)] = std::move(state);
  }
};

Optimizer::Optimizer(const ParameterSet& parameters, const TrainingOptions& options)
    : parameters_(parameters), options_(options), rule_(std::make_unique<Rule>()) {
  std::vector<torch::optim::OptimizerParamGroup> groups;
  for (int g = -1; g < static_cast<int>(options.parameter_groups.size()); ++g) {
    std::vector<at::Tensor> members;
    for (const auto& p : parameters.all()) {
      if (group_of(p, options.parameter_groups) == g) members.push_back(p.value);
    }
    if (g >= 0 && members.empty()) fail_empty_group(options.parameter_groups[static_cast<std::size_t>(g)], parameters);
    const auto* own = g < 0 ? nullptr : &options.parameter_groups[static_cast<std::size_t>(g)];
    const double lr = own ? own->lr.value_or(options.lr) : options.lr;
    const double decay = own ? own->weight_decay.value_or(options.weight_decay) : options.weight_decay;
    const auto betas = std::make_tuple(options.betas.at(0), options.betas.at(1));
    std::unique_ptr<torch::optim::OptimizerOptions> rates;
    if (options.optimizer == "sgd") {
      rates = std::make_unique<torch::optim::SGDOptions>(
          torch::optim::SGDOptions(lr).momentum(options.momentum).weight_decay(decay));
    } else if (options.optimizer == "adam") {
      rates = std::make_unique<torch::optim::AdamOptions>(
          torch::optim::AdamOptions(lr).betas(betas).eps(options.eps).weight_decay(decay));
    } else {
      rates = std::make_unique<torch::optim::AdamWOptions>(
          torch::optim::AdamWOptions(lr).betas(betas).eps(options.eps).weight_decay(decay));
    }
    groups.emplace_back(members, std::move(rates));
    rule_->base_lr.push_back(lr);
  }
  if (options.optimizer == "sgd") {
    rule_->rule = std::make_unique<torch::optim::SGD>(groups, torch::optim::SGDOptions(options.lr));
  } else if (options.optimizer == "adam") {
    rule_->rule = std::make_unique<torch::optim::Adam>(groups);
  } else {
    rule_->rule = std::make_unique<torch::optim::AdamW>(groups);
  }
}

Optimizer::~Optimizer() = default;
Optimizer::Optimizer(Optimizer&&) noexcept = default;

void Optimizer::update(const std::vector<at::Tensor>& gradients, std::int64_t step) {
  double clip = 1;
  if (options_.clip_norm) {
    double square = 0;
    for (const auto& g : gradients) square += g.to(at::kDouble).square().sum().item<double>();
    clip = std::min(1.0, *options_.clip_norm / (std::sqrt(square) + 1e-6));
  }
  for (std::size_t k = 0; k < gradients.size(); ++k) {
    auto value = parameters_.all()[k].value;
    value.mutable_grad() = clip < 1 ? gradients[k] * clip : gradients[k];
  }
  const double warmup = options_.warmup_steps == 0
                            ? 1 : std::min(1.0, static_cast<double>(step) / static_cast<double>(options_.warmup_steps));
  auto& groups = rule_->rule->param_groups();
  for (std::size_t g = 0; g < groups.size(); ++g) groups[g].options().set_lr(rule_->base_lr[g] * warmup);
  rule_->rule->step();
  for (const auto& p : parameters_.all()) {
    auto value = p.value;
    value.mutable_grad().reset();
  }
}

std::vector<NamedArray> Optimizer::state() const {
  std::vector<NamedArray> arrays;
  for (const auto& p : parameters_.all()) {
    if (options_.optimizer == "adam") {
      rule_->collect<torch::optim::AdamParamState>(p, arrays);
    } else if (options_.optimizer == "adamw") {
      rule_->collect<torch::optim::AdamWParamState>(p, arrays);
    } else if (const auto found = rule_->rule->state().find(state_key(p)); found != rule_->rule->state().end()) {
      const auto& buffer = static_cast<const torch::optim::SGDParamState&>(*found->second).momentum_buffer();
      if (!buffer.defined()) continue;
      arrays.push_back(to_named_array("optimizer/momentum/" + p.name, buffer)
                           .described({"momentum of " + p.name, "loss/parameter", "b <- momentum b + g"}));
    }
  }
  return arrays;
}

void Optimizer::load(std::span<const NamedArray> arrays) {
  for (const auto& p : parameters_.all()) {
    if (options_.optimizer == "sgd") {
      const auto* buffer = find_array_if_present(arrays, "optimizer/momentum/" + p.name);
      if (buffer == nullptr) continue;
      auto state = std::make_unique<torch::optim::SGDParamState>();
      state->momentum_buffer(to_tensor(*buffer).to(p.value.device()));
      rule_->rule->state()[state_key(p)] = std::move(state);
    } else if (find_array_if_present(arrays, "optimizer/step/" + p.name) != nullptr) {
      if (options_.optimizer == "adam") {
        rule_->restore<torch::optim::AdamParamState>(p, arrays);
      } else {
        rule_->restore<torch::optim::AdamWParamState>(p, arrays);
      }
    }
  }
}

}  // namespace grokscope
