#include "experiments/10_minegishi_tickets/experiment.hpp"

#include <fmt/format.h>

#include <cmath>

#include "data/modular_arithmetic.hpp"
#include "data/table_split.hpp"
#include "nn/folded_mlp.hpp"
#include "nn/mask.hpp"

namespace grokscope {
namespace {

TaskInfo minegishi_info() {
  return {"10_minegishi_tickets", "MLP on modular addition, and the subnetwork that generalises",
          "Minegishi, Iwasawa and Matsuo 2023, Grokking tickets: lottery tickets accelerate grokking, arXiv 2310.19470",
          "the dense network generalises thousands of epochs after it memorised; the subnetwork of its largest weights, "
          "trained again from its initial values, generalises almost as soon as it memorises"};
}

class MinegishiTickets : public Task {
 public:
  TaskInfo info() const override { return minegishi_info(); }

  void declare(Schemas& schemas) override {
    auto& data = schemas.section("data");
    data.add("p", shape_.p, "modulus").range(2, 100000);
    data.add("operation", operation_, "what is learned").one_of(modular_operations());
    data.add("train_fraction", fraction_, "share of all unordered pairs that train").above(0).below(1);
    auto& model = schemas.section("model");
    model.add("d_model", shape_.d_model, "width of the embedding").at_least(1);
    model.add("d_mlp", shape_.d_mlp, "hidden units").at_least(1);
    declare_observation_schedule(schemas);
    auto& observables = schemas.section("observables");
    observables.add("keep", keep_, "share of all weights in the magnitude mask").above(0).at_most(1);
    observables.add("near_zero", near_zero_, "a weight counts as near zero below this share of the largest")
        .above(0).below(1);
  }

  void check(const TrainingOptions&, Problems& problems) const override {
    if (operation_ == "divide") check_prime(shape_.p, "division needs inverses", 67, problems);
    if (!check_table_size(shape_.p, 2, problems)) return;
    // Pairs a <= b; division has no 0 / 0, the only one of them with b = 0.
    const auto p = shape_.p, n = p * (p + 1) / 2 - (operation_ == "divide" ? 1 : 0);
    check_split(fraction_, share_of_table(fraction_, n), n, problems);
  }

  void build_data(const TrainingOptions& training) override {
    const auto table = modular_table(shape_.p, operation_);
    const auto unordered = table.inputs.select(1, 0) <= table.inputs.select(1, 1);
    const auto pairs = table.select(unordered.nonzero().squeeze(1));
    data_ = split_at_random(pairs, share_of_table(fraction_, pairs.size()), static_cast<std::uint64_t>(training.seed));
  }

  void build_model(const TrainingOptions& training) override {
    model_ = std::make_unique<FoldedMlp>(shape_, static_cast<std::uint64_t>(training.seed));
    loss_ = cross_entropy(loss_type(training));
  }

  void observe(const Moment&, const Spread&, Record& record) const override {
    const auto weights = flat_weights();
    const auto mask = magnitude_mask(weights, keep_);
    observe_parameters(weights, mask, record);
    const auto square = weights.square();
    record.set({"observables/kept_square_share", "share of the squared norm in the magnitude mask", "1",
                fmt::format("sum of w^2 over the {:g} of all weights largest in magnitude / sum of w^2", keep_)},
               (square.masked_select(mask).sum() / square.sum()).item<double>());
    const auto magnitude = weights.abs();
    record.set({"observables/near_zero_share", "share of weights near zero", "1",
                fmt::format("share of weights with |w| < {:g} max |w|", near_zero_)},
               (magnitude < near_zero_ * magnitude.max()).to(at::kDouble).mean().item<double>());
    record.set({"observables/mask_distance", "distance of the magnitude mask from that of the previous observation", "1",
                "Jaccard distance 1 - |a and b| / |a or b|; NaN at the first observation"},
               previous_mask_.defined() ? mask_distance(mask, previous_mask_) : kMissing);
  }

  void remember(const Moment&) override { previous_mask_ = magnitude_mask(flat_weights(), keep_); }
  std::vector<NamedArray> state() const override {
    if (!previous_mask_.defined()) return {};
    return {to_named_array(kMask, previous_mask_.to(at::kByte))
                .described({"previous mask", "1", "the kept share of the weights by magnitude at the last observation"})};
  }
  void load(std::span<const NamedArray> arrays) override {
    const auto* stored = find_array_if_present(arrays, kMask);
    previous_mask_ = stored == nullptr ? at::Tensor() : to_tensor(*stored).to(at::kBool);
  }

  std::vector<Result> results(const TrainingOptions& training, const History& history) const override {
    double memorised = kMissing, generalised = kMissing;
    for (std::size_t i = 0; i < history.step.size(); ++i) {
      const auto step = static_cast<double>(history.step[i]);
      if (std::isnan(memorised) && history.evaluations[i].train_acc >= training.memorised_at) memorised = step;
      if (std::isnan(generalised) && history.evaluations[i].test_acc >= training.generalised_at) generalised = step;
    }
    return {{"tau", {generalised / memorised}, {"tau", "1", "t_gen / t_mem"}}};
  }

 private:
  static constexpr const char* kMask = "previous_mask";

  at::Tensor flat_weights() const { return model().parameters.flat().to(at::kCPU, at::kDouble); }

  void observe_parameters(const at::Tensor& weights, const at::Tensor& mask, Record& record) const {
    for (const auto& p : model().parameters.all()) {
      const auto begin = p.offset, end = p.offset + p.size();
      record.set({"observables/norm_" + p.name, "norm of " + p.name, "parameter", "sqrt of the sum of squares"},
                 weights.slice(0, begin, end).norm().item<double>());
      record.set({"observables/kept_share_" + p.name, "share of " + p.name + " in the magnitude mask", "1",
                  fmt::format("share of its weights among the {:g} of all weights largest in magnitude", keep_)},
                 mask.slice(0, begin, end).to(at::kDouble).mean().item<double>());
    }
  }

  FoldedMlpShape shape_;
  std::string operation_ = "add";
  double fraction_ = 0.4;
  double keep_ = 0.4;
  double near_zero_ = 0.01;
  at::Tensor previous_mask_;  ///< [P] bool; undefined before the first observation
};

}  // namespace

Experiment minegishi_tickets() {
  return {minegishi_info(), [] { return std::make_unique<MinegishiTickets>(); }};
}

}  // namespace grokscope
