#include "experiments/06_humayun_deep/experiment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/random.hpp"
#include "data/idx_images.hpp"
#include "experiments/06_humayun_deep/course.hpp"
#include "experiments/06_humayun_deep/local_complexity.hpp"
#include "experiments/06_humayun_deep/robustness.hpp"
#include "nn/mlp.hpp"

namespace grokscope {
namespace {

constexpr double kOnset = 0.03;  ///< PGD accuracy at the largest radius that counts as robust at all

TaskInfo humayun_info() {
  return {"06_humayun_deep", "MNIST from the standard initialisation: accuracy under attack comes late",
          "Humayun, Balestriero and Baraniuk 2024, Deep networks always grok and here is why, arXiv 2402.15555",
          "long after clean accuracy is settled the accuracy under attack rises, while the local complexity around "
          "training points, after a descent and an ascent, descends again"};
}

struct ComplexityOptions {
  std::vector<double> radii{0.05};
  std::int64_t directions = 25;
  std::int64_t points = 200;
  void declare(Schema& s) {
    s.add("radii", radii, "distance of the vertices from their point, in pixel units").above(0).length_at_least(1);
    s.add("directions", directions, "random orthonormal directions, two vertices each").range(1, 784);
    s.add("points", points, "points each of the training images, the test images and uniform noise")
        .unit("example").at_least(1);
  }
};

class HumayunDeep : public Task {
 public:
  TaskInfo info() const override { return humayun_info(); }

  void declare(Schemas& schemas) override {
    auto& data = schemas.section("data");
    data.add("dir", folder_, "folder of the MNIST IDX files").not_scientific();
    data.add("n_train", n_train_, "training images, drawn at random with replacement").unit("example").range(1, 60000);
    data.add("n_test", n_test_, "test images, the first in the file").unit("example").range(1, 10000);
    auto& model = schemas.section("model");
    model.add("hidden", hidden_, "widths of the hidden layers").at_least(1);
    model.add("init_scale", init_scale_, "factor on all initial weights and biases").above(0);
    declare_observation_schedule(schemas);
    auto& observables = schemas.section("observables");
    observables.add("robustness", robustness_, "accuracy under attack");
    observables.add("local_complexity", complexity_, "units that change sign around a point");
  }

  void check(const TrainingOptions&, Problems& problems) const override {
    const auto& radii = robustness_.strong_radii;
    if (!std::is_sorted(radii.begin(), radii.end())) {
      problems.add("observables.robustness.strong_radii", "the radii do not increase",
                   "an image that is fooled within one radius is fooled within all larger ones", "write them in order");
    }
  }

  void build_data(const TrainingOptions& training) override {
    const std::string fix = fmt::format("run tools/fetch_data.py mnist --dir {}", folder_);
    const auto pool = read_idx_pair(folder_, "train", 0, {}, fix);
    RandomStream stream(static_cast<std::uint64_t>(training.seed), "training_images");
    auto drawn = at::empty({n_train_}, at::kLong);
    for (std::int64_t i = 0; i < n_train_; ++i) {
      drawn[i] = static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(pool.size())));
    }
    data_.train = in_unit_range(pool.select(drawn));
    data_.test = in_unit_range(read_idx_pair(folder_, "t10k", 60000, n_test_, fix));
  }

  void build_model(const TrainingOptions& training) override {
    seed_ = static_cast<std::uint64_t>(training.seed);
    model_ = make_model();
    loss_ = one_hot_mse(loss_type(training));
  }

  void observe(const Moment&, const Spread& spread, Record& record) const override {
    observe_robustness(spread, record);
    observe_complexity(spread, record);
  }

  void remember(const Moment& now) override {
    if (now.step >= robustness_.transfer_from_step && !early_.defined()) early_ = model().parameters.flat().to(at::kCPU);
  }
  std::vector<NamedArray> state() const override {
    if (!early_.defined()) return {};
    return {to_named_array(kEarly, early_)
                .described({"early parameters", "1", "where transferred attacks are made: the first observation from "
                                                     "transfer_from_step on"})};
  }
  void load(std::span<const NamedArray> arrays) override {
    const auto* stored = find_array_if_present(arrays, kEarly);
    early_ = stored == nullptr ? at::Tensor() : to_tensor(*stored);
  }

  std::vector<Result> results(const TrainingOptions&, const History& history) const override {
    std::vector<std::string> attacks, complexities;
    for (const double r : robustness_.radii) attacks.push_back(fmt::format("pgd_accuracy_{:g}", r));
    for (const double r : robustness_.strong_radii) attacks.push_back(fmt::format("worst_case_accuracy_{:g}", r));
    for (const double r : complexity_.radii) {
      for (const auto* where : {"train", "test", "random"}) {
        complexities.push_back(fmt::format("local_complexity_{}_{:g}", where, r));
      }
    }
    auto results = humayun::robustness_course(history, attacks);
    for (auto& result : humayun::complexity_course(history, complexities)) results.push_back(std::move(result));
    const double widest = *std::max_element(robustness_.radii.begin(), robustness_.radii.end());
    const double onset = humayun::onset_step(history, fmt::format("pgd_accuracy_{:g}", widest), kOnset);
    results.push_back({"robustness_onset_step", {onset}, {"onset of robustness", "step", "first step after 300 with PGD accuracy of at least .03 at the widest radius"}});
    double lowest = kMissing;
    for (std::size_t i = 0; i < history.step.size(); ++i) {
      if (history.step[i] >= 100) lowest = std::fmin(lowest, history.evaluations[i].test_acc);
    }
    results.push_back({"clean_accuracy_min_from_step_100", {lowest}, {"lowest clean test accuracy", "1", "smallest test accuracy from step 100 on"}});
    return results;
  }

 private:
  static constexpr const char* kEarly = "early_parameters";

  static Dataset in_unit_range(Dataset images) {
    images.inputs = images.inputs.to(at::kDouble) / 255;
    return images;
  }

  std::unique_ptr<Model> make_model() const {
    std::vector<std::int64_t> widths{784};
    widths.insert(widths.end(), hidden_.begin(), hidden_.end());
    widths.push_back(10);
    return std::make_unique<Mlp>(MlpShape{widths, "relu", true}, init_scale_, seed_);
  }

  /// The model as it was when it was kept, or null.
  std::unique_ptr<Model> early_model() const {
    if (!early_.defined()) return nullptr;
    auto early = make_model();
    const auto& like = data_.test.inputs;
    early->parameters.convert(like.device(), like.scalar_type());
    early->parameters.set_flat(early_.to(like.device()));
    return early;
  }

  void observe_robustness(const Spread& spread, Record& record) const {
    const auto chosen = humayun::evenly_spread(data_.test.size(), robustness_.images).to(data_.test.ids.device());
    const auto images = data_.test.select(chosen);
    const auto starts = humayun::random_starts(images.ids, images.inputs.size(1), seed_).to(images.inputs.options());
    const auto early = early_model();
    const auto found = humayun::measure_robustness(model(), early.get(), {images.inputs, images.targets}, starts,
                                                   robustness_, spread);
    record.set({"observables/attacked_clean_accuracy", "accuracy of the attacked images before the attack", "1",
                "share of right answers"}, found.clean);
    record.set({"observables/input_gradient_l1", "median L1 norm of the input gradient", "loss/pixel",
                "median over attacked images of |d cross-entropy / d image|_1"}, found.input_gradient_l1);
    const auto set = [&](const char* name, const char* what, const std::vector<double>& radii,
                         const std::vector<double>& values) {
      for (std::size_t r = 0; r < values.size(); ++r) {
        record.set({fmt::format("observables/{}_{:g}", name, radii[r]),
                    fmt::format("accuracy, {}, radius {:g}", what, radii[r]), "1",
                    "share of right answers after l_inf attacks within the radius and [0, 1]"}, values[r]);
      }
    };
    set("pgd_accuracy", "PGD", robustness_.radii, found.pgd);
    set("worst_case_accuracy", "worst case over attacks", robustness_.strong_radii, found.worst_case);
    set("transfer_accuracy", "images that fool the early model", robustness_.strong_radii, found.transfer);
  }

  void observe_complexity(const Spread& spread, Record& record) const {
    const auto& like = data_.train.inputs;
    const auto d = like.size(1), n = complexity_.points;
    const auto directions = humayun::orthonormal_directions(complexity_.directions, d, seed_).to(like.options());
    const auto some = [n](const Dataset& split) { return split.inputs.slice(0, 0, std::min(n, split.size())); };
    const auto noise = (uniform_init({n, d}, 0.5, seed_, "random_points") + 0.5).to(like.options());
    const std::pair<const char*, at::Tensor> sets[] = {
        {"train", some(data_.train)}, {"test", some(data_.test)}, {"random", noise}};
    for (const auto& [where, points] : sets) {
      for (const double r : complexity_.radii) {
        record.set({fmt::format("observables/local_complexity_{}_{:g}", where, r),
                    fmt::format("local complexity, {} points, radius {:g}", where, r), "unit",
                    "mean over points x of the number of pre-activations whose signs differ among x +- r v, v orthonormal"},
                   humayun::mean_local_complexity(model(), points, directions, r, spread));
      }
    }
  }

  std::string folder_ = "data/mnist";
  std::int64_t n_train_ = 1000;
  std::int64_t n_test_ = 10000;
  std::vector<std::int64_t> hidden_{200, 200, 200};
  double init_scale_ = 1;
  humayun::RobustnessOptions robustness_;
  ComplexityOptions complexity_;
  std::uint64_t seed_ = 0;
  at::Tensor early_;  ///< [P], parameters of the early model; undefined before
};

}  // namespace

Experiment humayun_deep() {
  return {humayun_info(), [] { return std::make_unique<HumayunDeep>(); }};
}

}  // namespace grokscope
