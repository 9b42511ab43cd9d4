#include "experiments/07_thilak_slingshot/experiment.hpp"

#include <cmath>
#include <functional>

#include "experiments/07_thilak_slingshot/sources.hpp"
#include "experiments/07_thilak_slingshot/spikes.hpp"
#include "nn/hessian.hpp"
#include "nn/mlp.hpp"
#include "nn/transformer.hpp"

namespace grokscope {
namespace {

constexpr std::int64_t kSpikeWindow = 2000;  ///< steps that test accuracy has to answer a spike

TaskInfo slingshot_info() {
  return {"07_thilak_slingshot", "Slingshots: loss spikes of Adam long after the training loss has vanished",
          "Thilak, Littwin, Zhai, Saremi, Paiss and Susskind 2022, The slingshot mechanism: an empirical study of adaptive "
          "optimizers and the grokking phenomenon, arXiv 2206.04817",
          "in float32 and without decay the last layer's norm grows until the loss jumps, again and again; with the loss in "
          "float64, or a larger eps of Adam, it never does"};
}

class ThilakSlingshot : public Task {
 public:
  TaskInfo info() const override { return slingshot_info(); }

  void declare(Schemas& schemas) override {
    source_.declare(schemas.section("data"));
    auto& model = schemas.section("model");
    model.add("kind", kind_, "a fully connected network, or a transformer on the tokens of a division")
        .one_of({"mlp", "transformer"});
    model.add("hidden", hidden_, "mlp: widths of the hidden layers").at_least(1);
    model.add("activation", activation_, "mlp: between layers").one_of({"relu", "tanh", "identity"});
    transformer_.declare_widths(model);
    model.add("norm", norm_, "transformer: none, as in arXiv 2605.06152; post: LayerNorm behind each sum, as in the paper")
        .one_of({"none", "post"});
    model.add("init_scale", init_scale_, "factor on all initial weights and biases").above(0);
    model.add("cross_entropy", cross_entropy_,
              "plain: one log_softmax, whose gradient at the right class cancels; exact: computed without cancellation")
        .one_of({"plain", "exact"});
    schemas.section("probes.slingshot")
        .add("every", every_, "steps between measurements of curvature and feature change, 0: never").unit("step").at_least(0);
  }

  void check(const TrainingOptions&, Problems& problems) const override {
    source_.check(problems);
    if (!is_transformer()) return;
    transformer_.check_widths(problems);
    if (source_.name != "division") {
      problems.add("model.kind", "transformer cannot read " + source_.name, "it reads tokens", "use data.source: division, or mlp");
    }
  }

  void build_data(const TrainingOptions& training) override {
    using Encoding = slingshot::Source::Encoding;
    data_ = source_.build(static_cast<std::uint64_t>(training.seed), is_transformer() ? Encoding::tokens : Encoding::one_hot);
  }

  void build_model(const TrainingOptions& training) override {
    const auto seed = static_cast<std::uint64_t>(training.seed);
    if (is_transformer()) {
      use(std::make_unique<Transformer>(transformer_shape(), seed));
      model_->parameters.scale(init_scale_);
    } else {
      std::vector<std::int64_t> widths{source_.width()};
      widths.insert(widths.end(), hidden_.begin(), hidden_.end());
      widths.push_back(source_.outputs());
      use(std::make_unique<Mlp>(MlpShape{widths, activation_, true}, init_scale_, seed));
    }
    loss_ = cross_entropy_ == "plain" ? plain_cross_entropy(loss_type(training)) : cross_entropy(loss_type(training));
  }

  void note_start() override {
    const auto start = model().parameters.flat().to(at::kCPU, at::kDouble);
    initial_direction_ = start / start.norm();
  }

  void before_update(const Moment& now) override {
    if (every_ > 0 && (now.step + 1) % every_ == 0) before_ = model().parameters.flat(), before_step_ = now.step;
  }

  std::vector<NamedArray> state() const override {
    if (!before_.defined()) return {};
    return {to_named_array("before", before_).described({"parameters before a step", "1", "compared with those after it"}),
            NamedArray::scalar<std::int64_t>("before_step", before_step_).described({"that step", "1", "number of the step"})};
  }

  void load(std::span<const NamedArray> arrays) override {
    if (find_array_if_present(arrays, "before") == nullptr) return;
    before_ = to_tensor(find_array(arrays, "before")).to(model().parameters[0].value.device());
    before_step_ = find_array(arrays, "before_step").values<std::int64_t>()[0];
  }

  void observe(const Moment& now, const Spread& spread, Record& record) const override {
    const auto share = data_.train.rows(spread.share(data_.train.size()));
    const auto hidden = features_(share.inputs).to(at::kDouble);
    observe_last_layer(hidden, spread, record);
    record.set({"observables/distance_from_init", "cosine distance from initialisation", "1",
                "1 - theta . theta_0 / (|theta| |theta_0|), all parameters"}, distance_from_start());
    observe_last_step(now, share, hidden, spread, record);
  }

  std::vector<Result> results(const TrainingOptions&, const History& history) const override {
    std::vector<double> loss, test_accuracy;
    for (const auto& e : history.evaluations) loss.push_back(e.train_loss), test_accuracy.push_back(e.test_acc);
    const auto spikes = slingshot::find_spikes(history.step, loss);
    const auto& norm = history.observables.at("last_layer_norm");
    std::vector<double> steps, norms;
    for (const auto row : spikes.starts) steps.push_back(static_cast<double>(history.step[row])), norms.push_back(norm[row]);
    double least_rise = kMissing;
    for (std::size_t k = 0; k + 1 < norms.size() && k < 3; ++k) least_rise = std::fmin(least_rise, norms[k + 1] - norms[k]);
    const auto low = spikes.first_low;
    const auto count = static_cast<double>(spikes.starts.size());
    std::vector<Result> results;
    const auto add = [&](const char* name, double value, const char* units, const char* definition) {
      results.push_back({name, {value}, {name, units, definition}});
    };
    add("first_below_1e-6", low ? static_cast<double>(history.step[*low]) : kMissing, "step",
        "first evaluation with training loss below 1e-6; NaN: never");
    add("spike_count", low ? count : kMissing, "1",
        "rises of the training loss above .1 after first_below_1e-6, those within 100 steps of the last counted once");
    add("largest_loss_after", low ? slingshot::largest_loss(history.step, loss, *low, 0) : kMissing, "loss",
        "largest training loss after first_below_1e-6");
    add("largest_loss_from_step_1000", slingshot::largest_loss(history.step, loss, 0, 1000), "loss",
        "largest training loss from step 1,000 on");
    add("least_norm_rise", least_rise, "parameter", "smallest rise of |W_last| from one spike to the next, of the first three");
    add("test_gain_at_spikes", slingshot::share_of_rise(history.step, test_accuracy, spikes, kSpikeWindow), "1",
        "share of the rise of test_acc, from first_below_1e-6 to the end, that falls into the 2,000 steps from each spike on, those "
        "after the next excepted; NaN: it does not rise");
    const auto course = [&](const char* observable) {
      return slingshot::course_of(history.observables.at(observable), low.value_or(history.step.size()));
    };
    const auto curvature = course("curvature_along_update"), change = course("feature_change");
    add("curvature_median_after", curvature.median, "loss", "median curvature_along_update after first_below_1e-6");
    add("curvature_largest_after", curvature.largest, "loss", "largest curvature_along_update after first_below_1e-6");
    add("feature_change_median_after", change.median, "1", "median feature_change after first_below_1e-6");
    add("feature_change_largest_after", change.largest, "1", "largest feature_change after first_below_1e-6");
    if (!steps.empty()) {
      results.push_back({"spike_steps", steps, {"steps of the spikes", "step", "where each counted spike begins"}});
      results.push_back({"spike_last_layer_norms", norms, {"norms at the spikes", "parameter", "|W_last| where each counted spike begins"}, "spike_steps"});
    }
    return results;
  }

 private:
  bool is_transformer() const { return kind_ == "transformer"; }

  /// Two blocks as in Power et al. 2022, on a, /, b, = of a vocabulary of p + 2, read at the last.
  TransformerShape transformer_shape() const {
    auto shape = transformer_;
    shape.norm = norm_ == "none" ? TransformerShape::Norm::none : TransformerShape::Norm::post;
    shape.vocabulary = source_.p + 2;
    shape.tokens = 4;
    shape.read = {3};
    shape.fixed_tokens = {{1, source_.p}, {3, source_.p + 1}};
    return shape;
  }

  template <class Network>
  void use(std::unique_ptr<Network> network) {
    features_ = [&n = *network](const at::Tensor& inputs) { return n.features(inputs); };
    last_weight_ = &network->last_weight();
    model_ = std::move(network);
  }

  void observe_last_layer(const at::Tensor& hidden, const Spread& spread, Record& record) const {
    const auto weight = last_weight_->value.detach().to(at::kDouble);
    auto mean_hidden = hidden.sum(0).to(at::kCPU).contiguous();
    spread.sum({mean_hidden.data_ptr<double>(), static_cast<std::size_t>(mean_hidden.numel())});
    const auto class_mean = weight.mean(0).to(at::kCPU);
    const double cosine = (class_mean.dot(mean_hidden) / (class_mean.norm() * mean_hidden.norm())).item<double>();
    record.set({"observables/last_layer_norm", "norm of the last layer's weights", "parameter", "Frobenius norm of W_last"},
               weight.norm().item<double>());
    record.set({"observables/class_mean_norm", "norm of the class mean of the last layer", "parameter",
                "|w|, w the mean of the rows of W_last over classes"}, class_mean.norm().item<double>());
    record.set({"observables/class_mean_cosine", "cosine of class mean and mean features", "1",
                "w . h / (|w| |h|), h the mean over training examples of what enters the last layer"}, cosine);
  }

  /// As half the squared distance of unit vectors, in which nothing cancels. At every step, so that a parameter is touched
  /// while it is in the caches, and nothing of the size of all is allocated.
  double distance_from_start() const {
    const double norm = model().parameters.norm();
    double square = 0;
    for (const auto& p : model().parameters.all()) {
      const auto start = initial_direction_.slice(0, p.offset, p.offset + p.size());
      const auto difference = p.value.detach().to(at::kCPU, at::kDouble).reshape({-1}).div(norm).sub_(start);
      square += difference.dot(difference).item<double>();
    }
    return square / 2;
  }

  /// What the last optimizer step did. NaN where its beginning was not kept.
  void observe_last_step(const Moment& now, const Dataset& share, const at::Tensor& hidden, const Spread& spread,
                         Record& record) const {
    double update_norm = kMissing, change = kMissing, curvature = kMissing;
    if (before_.defined() && before_step_ + 1 == now.step) {
      auto& parameters = model_->parameters;
      const auto present = parameters.flat();
      const auto update = present.to(at::kDouble) - before_.to(at::kDouble);
      parameters.set_flat(before_);
      const auto hidden_before = features_(share.inputs).to(at::kDouble);
      parameters.set_flat(present);
      std::array<double, 3> sums{(hidden - hidden_before).square().sum().item<double>(),
                                 hidden_before.square().sum().item<double>(), 0};
      const double square = update.square().sum().item<double>();
      if (square > 0) {
        const auto direction = (update / std::sqrt(square)).to(present.scalar_type());
        sums[2] = direction.to(at::kDouble)
                      .dot(hessian_vector_product(model(), *cross_entropy(at::kDouble), share.inputs, share.targets, direction)
                               .to(at::kDouble))
                      .item<double>();
      }
      spread.sum(sums);
      update_norm = std::sqrt(square);
      change = std::sqrt(sums[0] / sums[1]);
      curvature = square > 0 ? sums[2] / static_cast<double>(data_.train.size()) : kMissing;
    }
    record.set({"observables/update_norm", "norm of the last update", "parameter", "|u|, u = theta_t - theta_(t-1)"},
               update_norm);
    record.set({"observables/feature_change", "relative change of features", "1",
                "|h_t - h_(t-1)| / |h_(t-1)|, h what enters the last layer for all training examples"}, change);
    record.set({"observables/curvature_along_update", "curvature along the update", "loss",
                "u^T H u / |u|^2 at theta_t, H the Hessian of the mean cross-entropy, computed without cancellation"},
               curvature);
  }

  slingshot::Source source_;
  std::string kind_ = "mlp";
  TransformerShape transformer_;  ///< widths only
  std::string norm_ = "none";
  std::vector<std::int64_t> hidden_{64, 64, 64, 64, 64};
  std::string activation_ = "relu";
  double init_scale_ = 1;
  std::string cross_entropy_ = "plain";
  std::int64_t every_ = 1;
  std::function<at::Tensor(const at::Tensor&)> features_;  ///< what enters the last layer, of the model
  const Parameter* last_weight_ = nullptr;
  at::Tensor initial_direction_;   ///< theta_0 / |theta_0|, float64
  at::Tensor before_;              ///< parameters before the step `before_step_`
  std::int64_t before_step_ = -1;
};

}  // namespace

Experiment thilak_slingshot() {
  return {slingshot_info(), [] { return std::make_unique<ThilakSlingshot>(); }};
}

}  // namespace grokscope
