#include "experiments/03_nanda_progress/experiment.hpp"

#include <fmt/format.h>

#include "data/modular_arithmetic.hpp"
#include "data/table_split.hpp"
#include "experiments/03_nanda_progress/fourier.hpp"
#include "experiments/03_nanda_progress/phases.hpp"
#include "experiments/03_nanda_progress/progress.hpp"
#include "nn/one_layer_transformer.hpp"

namespace grokscope {
namespace {

TaskInfo nanda_info() {
  return {"03_nanda_progress", "One-layer transformer on modular addition, seen through its Fourier modes",
          "Nanda, Chan, Lieberum, Smith and Steinhardt 2023, Progress measures for grokking via mechanistic "
          "interpretability, arXiv 2301.05217",
          "the test loss falls thousands of epochs after the training loss, while a circuit of a few "
          "frequencies forms"};
}

class NandaProgress : public Task {
 public:
  TaskInfo info() const override { return nanda_info(); }

  void declare(Schemas& schemas) override {
    auto& data = schemas.section("data");
    data.add("p", shape_.p, "modulus").range(3, 100000);
    data.add("operation", operation_, "what is learned").one_of(modular_operations());
    data.add("train_fraction", fraction_, "share of all pairs that train").above(0).below(1);
    auto& model = schemas.section("model");
    model.add("d_model", shape_.d_model, "width of the residual stream").at_least(1);
    model.add("heads", shape_.heads, "attention heads; must divide d_model").at_least(1);
    model.add("d_mlp", shape_.d_mlp, "hidden units of the MLP").at_least(1);
    declare_observation_schedule(schemas);
    schemas.section("observables")
        .add("key_frequencies", key_frequencies_,
             "frequencies of the restricted and the excluded loss; none: those "
             "that stand out at the observation, with norms above a quarter of the largest and twice the "
             "median in W_E and W_L")
        .at_least(1);
  }

  void check(const TrainingOptions&, Problems& problems) const override {
    if (shape_.d_model % shape_.heads != 0) {
      problems.add("model.heads",
                   fmt::format("{} does not divide d_model = {}", shape_.heads, shape_.d_model),
                   "every head has the same width", "use a divisor");
    }
    if (operation_ == "divide") check_prime(shape_.p, "division needs inverses", 113, problems);
    if (check_table_size(shape_.p, 2, problems)) {
      const auto n = modular_table_size(shape_.p, operation_);
      check_split(fraction_, share_of_table(fraction_, n), n, problems);
    }
    for (const auto k : key_frequencies_) {
      if (k <= nanda::frequency_count(shape_.p)) continue;
      problems.add("observables.key_frequencies", fmt::format("{} is no frequency modulo {}", k, shape_.p),
                   fmt::format("they are 1 to {}", nanda::frequency_count(shape_.p)), "leave it out");
    }
  }

  void build_data(const TrainingOptions& training) override {
    const auto table = modular_table(shape_.p, operation_);
    data_ = split_at_random(table, share_of_table(fraction_, table.size()),
                            static_cast<std::uint64_t>(training.seed));
  }

  void build_model(const TrainingOptions& training) override {
    model_ = std::make_unique<OneLayerTransformer>(shape_, static_cast<std::uint64_t>(training.seed));
    loss_ = cross_entropy(loss_type(training));
  }

  void observe(const Moment&, const Spread& spread, Record& record) const override {
    observe_weights(record);
    if (answers_are_sums()) observe_logits(spread, record);
  }

  std::vector<Result> results(const TrainingOptions&, const History& history) const override {
    const auto keys = present_keys();
    const auto phases = nanda::find_phases(history);
    return {{"key_frequencies",
             keys.empty() ? std::vector<double>{kMissing} : std::vector<double>(keys.begin(), keys.end()),
             {"key frequencies at the end", "1",
              "norms above max/4 and twice the median in W_E and in W_L, or those of the configuration"}},
            {"key_frequency_count",
             {static_cast<double>(keys.size())},
             {"number of key frequencies at the end", "1", "how many key_frequencies there are"}},
            {"phase_memorisation_end",
             {phases.memorisation},
             {"end of memorisation", "step", "observation with the lowest excluded loss"}},
            {"phase_circuit_formation_end",
             {phases.circuit_formation},
             {"end of circuit formation", "step", "first observation with a restricted loss of at most 0.1"}},
            {"phase_clean_up_end",
             {phases.clean_up},
             {"end of clean-up", "step",
              "first evaluation behind the largest test loss with at most 1/100 of it"}}};
  }

 private:
  at::Tensor weight(const std::string& name) const {
    for (const auto& p : model().parameters.all()) {
      if (p.name == name) return p.value.detach().to(at::kCPU, at::kDouble);
    }
    throw InternalError("no parameter " + name);
  }
  /// Embedding of the residues, [d_model, p].
  at::Tensor embedding() const { return weight("embed.W_E").slice(1, 0, shape_.p); }
  /// The neuron-logit map W_U^T W_out as [d_mlp, p]: what each neuron adds to each residue's logit.
  at::Tensor neuron_logit_map() const {
    return at::mm(weight("blocks.0.mlp.W_out").t(), weight("unembed.W_U").slice(1, 0, shape_.p));
  }

  std::vector<std::int64_t> present_keys() const {
    if (!key_frequencies_.empty()) return key_frequencies_;
    return nanda::key_frequencies(nanda::frequency_norms(embedding()),
                                  nanda::frequency_norms(neuron_logit_map()));
  }

  void observe_weights(Record& record) const {
    const std::pair<const char*, at::Tensor> tables[] = {{"W_E", embedding()}, {"W_L", neuron_logit_map()}};
    for (const auto& [name, table] : tables) {
      const auto norms = nanda::frequency_norms(table);
      record.set(
          {fmt::format("observables/fourier_norm_{}", name),
           fmt::format("norm of each frequency in {}", name), "parameter",
           "sqrt of the sums of squares of the components cos_k and sin_k, k = 1, 2, ...; the basis is "
           "orthonormal, W_L = W_U^T W_out"},
          std::vector<double>(norms.data_ptr<double>(), norms.data_ptr<double>() + norms.numel()));
      record.set({fmt::format("observables/gini_{}", name),
                  fmt::format("Gini coefficient of Fourier norms, {}", name), "1",
                  "of the norms of all p Fourier components: 0 when equal, near 1 when one stands alone"},
                 nanda::gini(nanda::component_norms(table)));
    }
    const double norm = model().parameters.norm();
    record.set({"observables/sum_of_squared_weights", "sum of squared weights", "parameter^2",
                "over all parameters"},
               norm * norm);
    record.set(
        {"observables/key_frequency_count", "number of key frequencies", "1",
         "norms above max/4 and twice the median in W_E and in W_L, or as many as the configuration names"},
        static_cast<double>(present_keys().size()));
  }

  /// True when the answer is a + b or a - b, the sum that the waves of the circuit are functions of.
  bool answers_are_sums() const { return operation_ == "add" || operation_ == "subtract"; }

  /// What the network says of this process's part of all p^2 pairs.
  nanda::PairLogits my_pairs(const Spread& spread) const {
    const auto table = modular_table(shape_.p, operation_);
    auto is_train = at::zeros({table.size()}, at::kBool);
    is_train.index_fill_(0, data_.train.ids.to(at::kCPU), true);  // ids are rows of the table
    const auto mine = spread.share(table.size());
    const auto rows = table.rows(mine);
    return {nanda::residue_logits(model(), rows.inputs.to(data_.train.inputs.device()), shape_.p),
            rows.targets, is_train.slice(0, mine.begin, mine.end)};
  }

  void observe_logits(const Spread& spread, Record& record) const {
    const auto found = nanda::measure_progress(my_pairs(spread), present_keys(), spread);
    const auto loss = [&](const char* name, const char* what, const char* definition, double value) {
      record.set({fmt::format("observables/{}_loss", name), what, "nat", definition}, value);
    };
    loss("full", "loss over all pairs", "cross-entropy over all p^2 pairs, logits of the p residues",
         found.full_loss);
    loss("restricted", "restricted loss",
         "cross-entropy over all p^2 pairs of the logits' projections on cos and sin of "
         "w_k (a+b), k a key frequency, plus the mean logits",
         found.restricted_loss);
    loss("excluded", "excluded loss",
         "cross-entropy over the training pairs of the logits less their projections on cos "
         "and sin of w_k (a+b), k a key frequency",
         found.excluded_loss);
    record.set({"observables/excluded_loss_by_frequency", "excluded loss of each frequency alone", "nat",
                "the excluded loss with one k taken away, k = 1, 2, ..."},
               found.excluded_by_frequency);
    record.set(
        {"observables/logit_power_by_frequency", "share of each frequency in the logits' variance", "1",
         "squared projections on cos and sin of w_k (a+b) / sum over pairs and outputs of (logit - its "
         "mean)^2"},
        found.power_by_frequency);
    record.set({"observables/key_share", "share of the key frequencies in the logits' variance", "1",
                "sum of logit_power_by_frequency over the key frequencies"},
               found.key_share);
    record.set({"observables/cosine_share", "share of cos w_k (a+b-c) in the logits' variance", "1",
                "explained by sum of alpha_k cos(w_k (a+b-c)) over the key frequencies, c the output"},
               found.cosine_share);
  }

  OneLayerTransformerShape shape_;
  std::string operation_ = "add";
  double fraction_ = 0.3;
  std::vector<std::int64_t> key_frequencies_;
};

}  // namespace

Experiment nanda_progress() {
  return {nanda_info(), [] { return std::make_unique<NandaProgress>(); }};
}

}  // namespace grokscope
