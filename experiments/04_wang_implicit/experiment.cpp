#include "experiments/04_wang_implicit/experiment.hpp"

#include <fmt/format.h>

#include <array>

#include "base/random.hpp"
#include "experiments/04_wang_implicit/facts.hpp"
#include "nn/transformer.hpp"

namespace grokscope {
namespace {

TaskInfo wang_info() {
  return {"04_wang_implicit", "Transformer that infers facts from facts, composing or comparing them",
          "Wang, Yue, Su and Sun 2024, Grokked transformers are implicit reasoners: a mechanistic journey to the edge of "
          "generalization, arXiv 2405.15071",
          "facts inferred from two known ones are answered long after those that were trained, the sooner the larger the "
          "ratio phi; composition never extends to facts that were not composed in training"};
}

/// A fixed set of examples whose accuracy is observed.
struct Probe {
  const char* name;
  const char* what;
  Dataset examples;
};

class WangImplicit : public Task {
 public:
  TaskInfo info() const override { return wang_info(); }

  void declare(Schemas& schemas) override {
    facts_.declare(schemas.section("data"));
    auto& model = schemas.section("model");
    shape_.declare_widths(model);
    model.add("activation", shape_.activation, "of the MLPs").one_of({"relu", "gelu", "gelu_tanh"});
    model.add("dropout", dropout_, "of embeddings, attention patterns and residual updates, in training").at_least(0).below(1);
    model.add("vocabulary", vocabulary_, "rows of the embedding; none: as many as there are tokens").at_least(1);
    model.add("position_rows", shape_.position_rows, "rows of the table of positions; 0: as many as needed").at_least(0);
    model.add("outputs", outputs_, "what the head chooses from: the vocabulary, or the tokens that are answers")
        .one_of({"vocabulary", "answers"});
    declare_observation_schedule(schemas);
  }

  void check(const TrainingOptions& training, Problems& problems) const override {
    shape_.check_widths(problems);
    const bool have_relations = !facts_.composes() || facts_.out_degree <= facts_.relations;
    if (have_relations) {
      facts_.check(static_cast<std::uint64_t>(training.seed), problems);
    } else {
      problems.add("data.out_degree", fmt::format("{} is more than data.relations = {}", facts_.out_degree, facts_.relations),
                   "the relations of an entity are all different", "use at most as many");
    }
    const auto words = wang::Vocabulary(facts_).size;
    if (vocabulary_.value_or(words) < words) {
      problems.add("model.vocabulary", fmt::format("{} is below {}", *vocabulary_, words), "every token needs a row",
                   "use none or a larger number");
    }
    if (shape_.position_rows != 0 && shape_.position_rows < tokens()) {
      problems.add("model.position_rows", fmt::format("{} is below {}", shape_.position_rows, tokens()),
                   "every token of an input needs a position", "use 0 or a larger number");
    }
  }

  void build_data(const TrainingOptions& training) override {
    const auto seed = static_cast<std::uint64_t>(training.seed);
    const auto facts = wang::make_facts(facts_, seed);
    const auto joined = [](const at::Tensor& a, const at::Tensor& b, const at::Tensor& c) { return at::cat({a, b, c}); };
    const auto &id = facts.id_atoms, &ood = facts.ood_atoms, &inferred = facts.trained;
    data_.train = {joined(id.ids, ood.ids, inferred.ids), joined(id.inputs, ood.inputs, inferred.inputs),
                   joined(id.targets, ood.targets, inferred.targets)};
    data_.test = facts.id_test;
    const std::array sets{some(id, seed, "probe/id_atoms"), some(ood, seed, "probe/ood_atoms"),
                          some(inferred, seed, "probe/trained"), facts.ood_test};
    for (std::size_t i = 0; i < probes_.size(); ++i) probes_[i].examples = sets[i];
  }

  void build_model(const TrainingOptions& training) override {
    const wang::Vocabulary words(facts_);
    auto shape = shape_;
    shape.vocabulary = vocabulary_.value_or(words.size);
    shape.outputs = outputs_ == "answers" ? words.answers : shape.vocabulary;
    shape.tokens = tokens();
    for (std::int64_t t = 1; t < shape.tokens; ++t) shape.read.push_back(t);
    shape.embedding_dropout = shape.attention_dropout = shape.residual_dropout = dropout_;
    model_ = std::make_unique<Transformer>(shape, static_cast<std::uint64_t>(training.seed));
    loss_ = token_cross_entropy(loss_type(training));
  }

  std::vector<NamedArray> extra_data() const override {
    std::vector<NamedArray> arrays;
    for (const auto& probe : probes_) {
      for (auto& array : probe.examples.arrays(path_of(probe))) arrays.push_back(std::move(array));
    }
    return arrays;
  }

  void restore_data(std::span<const NamedArray> arrays) override {
    Task::restore_data(arrays);
    for (auto& probe : probes_) {
      const auto part = [&](const char* name) { return to_tensor(find_array(arrays, path_of(probe) + "/" + name)); };
      probe.examples = {part("ids"), part("inputs"), part("targets")};
    }
  }

  void observe(const Moment&, const Spread& spread, Record& record) const override {
    for (const auto& probe : probes_) {
      const auto n = probe.examples.size();
      const auto mine = probe.examples.rows(spread.share(n)).to(data_.train.inputs.device());
      std::array sum{static_cast<double>(evaluate(model(), loss(), mine.inputs, mine.targets).correct)};
      spread.sum(sum);
      record.set({fmt::format("observables/{}_accuracy", probe.name), fmt::format("accuracy, {}", probe.what), "1",
                  fmt::format("share of right answers among {} of them, always the same", n)},
                 n == 0 ? kMissing : sum[0] / static_cast<double>(n));
    }
  }

 private:
  static std::string path_of(const Probe& probe) { return fmt::format("probes/{}", probe.name); }
  std::int64_t tokens() const { return facts_.end_token ? 4 : 3; }

  /// At most data.probes of them, in a random order.
  Dataset some(const Dataset& all, std::uint64_t seed, std::string_view stream) const {
    auto order = random_permutation(all.size(), RandomStream(seed, stream));
    const auto n = std::min(all.size(), facts_.probes);
    return all.select(at::from_blob(order.data(), {n}, at::kLong));
  }

  static TransformerShape paper_shape() {
    auto s = TransformerShape::gpt2();
    s.blocks = 8;
    s.position_rows = 10;
    return s;
  }

  wang::FactOptions facts_;
  TransformerShape shape_ = paper_shape();  ///< tokens follow from the facts
  double dropout_ = 0.1;
  std::optional<std::int64_t> vocabulary_;
  std::string outputs_ = "vocabulary";
  std::array<Probe, 4> probes_{{{"id_atom", "atoms in distribution", {}},
                                {"ood_atom", "atoms out of distribution", {}},
                                {"trained", "inferred facts that train", {}},
                                {"ood", "facts that follow from two atoms out of distribution", {}}}};
};

}  // namespace

Experiment wang_implicit() {
  return {wang_info(), [] { return std::make_unique<WangImplicit>(); }};
}

}  // namespace grokscope
