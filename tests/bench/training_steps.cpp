// How long does a training step of each paper's model take, against the plain program for the same model?
//   bench_training_steps [--repeats R] [PAPER ...]
// Ours is the trainer's whole step: batch, forward, loss, backward, sum over ranks, update. The plain one is
// what one would write first: a forward pass that skips and folds nothing, LibTorch's own loss, backward(),
// LibTorch's optimizer. Both read the loss at every step, neither counts right answers. Sizes, types and optimizers are those of configs/NN_*.yaml (04: of its
// miniature), one rank, one thread; times are medians of interleaved repeats. Ends with 1 when gradients
// disagree or a step of ours is slower by more than the scatter of such times and 50 us, which is what the
// smallest models show: a loss for each example, sums in the order of ranks, timers.
#include <fmt/format.h>
#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/sgd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <set>

#include "base/random.hpp"
#include "base/timer.hpp"
#include "bench/plain_models.hpp"
#include "comm/environment.hpp"
#include "data/modular_arithmetic.hpp"
#include "nn/all_positions.hpp"
#include "nn/embedding_mlp.hpp"
#include "nn/folded_mlp.hpp"
#include "nn/linear_model.hpp"
#include "nn/mlp.hpp"
#include "nn/one_layer_transformer.hpp"
#include "nn/power_mlp.hpp"
#include "nn/transformer_shapes.hpp"
#include "run/device.hpp"
#include "train/trainer.hpp"

namespace grokscope {
namespace {

constexpr double kRepeat = 0.15;       // seconds of one repeat, at least
constexpr double kBookkeeping = 5e-5;  // seconds
constexpr double kScatter = 0.05;      // of two medians on a quiet machine
constexpr double kVanishing = 1e-6;    // of the norm of all gradients
constexpr double kDifference = 1e-9;   // of gradients in float64
constexpr double kDecay = 0.1;         // costs the same whatever it is

using MeanLoss = std::function<at::Tensor(const at::Tensor& outputs, const at::Tensor& targets)>;

/// A model, a loss and examples that are already there.
class Given : public Task {
 public:
  Given(std::unique_ptr<Model> model, std::unique_ptr<Loss> loss, const Dataset& train) {
    model_ = std::move(model);
    loss_ = std::move(loss);
    data_ = {train, train.rows({0, 1})};
  }
  TaskInfo info() const override { return {}; }
  void declare(Schemas&) override {}
  void build_data(const TrainingOptions&) override {}
  void build_model(const TrainingOptions&) override {}
};

/// The types of the configuration, or float64 throughout for a comparison of gradients.
using Forced = std::optional<at::ScalarType>;

struct Case {
  std::string paper;
  std::string what;
  TrainingOptions options;
  std::unique_ptr<Task> task;
  std::unique_ptr<Model> plain;
  MeanLoss plain_loss;
};

/// The straightforward program: takes its batch, and steps.
class PlainTrainer {
 public:
  explicit PlainTrainer(const Case& c) : case_(c), train_(c.task->data().train) {
    const auto& o = c.options;
    const auto weights = c.plain->parameters.tensors();
    const auto betas = std::make_tuple(o.betas[0], o.betas[1]);
    if (o.optimizer == "sgd") {
      optimizer_ = std::make_unique<torch::optim::SGD>(weights, torch::optim::SGDOptions(o.lr));
    } else if (o.optimizer == "adam") {
      optimizer_ =
          std::make_unique<torch::optim::Adam>(weights, torch::optim::AdamOptions(o.lr).betas(betas));
    } else {
      optimizer_ = std::make_unique<torch::optim::AdamW>(
          weights, torch::optim::AdamWOptions(o.lr).betas(betas).weight_decay(o.weight_decay));
    }
  }

  void step() {
    const auto batch = next_batch();
    optimizer_->zero_grad();
    auto tape = Tape::inactive();
    const auto loss = case_.plain_loss(case_.plain->forward(batch.inputs, tape), batch.targets);
    loss.backward();
    optimizer_->step();
    last_loss_ = loss.item<double>();
  }

 private:
  Dataset next_batch() {
    if (case_.options.batch_size.is_full()) return train_;
    const auto size = case_.options.batch_size.examples, batches = train_.size() / size;
    if (steps_ % batches == 0) order_ = at::randperm(train_.size(), at::kLong);
    const auto begin = steps_++ % batches * size;
    return train_.select(order_.slice(0, begin, begin + size));
  }

  const Case& case_;
  const Dataset& train_;
  std::unique_ptr<torch::optim::Optimizer> optimizer_;
  at::Tensor order_;
  std::int64_t steps_ = 0;
  double last_loss_ = 0;
};

TrainingOptions adamw(double decay, BatchSize batch = {}) {
  TrainingOptions o;
  o.weight_decay = decay;
  o.batch_size = batch;
  o.betas = {0.9, 0.98};
  return o;
}

Dataset examples(const at::Tensor& inputs, const at::Tensor& targets) {
  return {at::arange(inputs.size(0), at::kLong), inputs, targets};
}

at::Tensor random_integers(std::vector<std::int64_t> shape, std::int64_t below, const std::string& name) {
  return (uniform_init(std::move(shape), 0.5, 1, name) + 0.5)
      .mul(static_cast<double>(below))
      .floor()
      .to(at::kLong);
}

/// Equations and facts that nobody has learned: a step costs the same.
Dataset sequences(const TransformerShape& shape, std::int64_t n) {
  auto inputs = random_integers({n, shape.tokens}, shape.vocabulary, "inputs");
  for (const auto& f : shape.fixed_tokens) inputs.select(1, f.position).fill_(f.token);
  const auto read = static_cast<std::int64_t>(shape.read.size()),
             outputs = shape.outputs ? shape.outputs : shape.vocabulary;
  auto targets = random_integers({n, read}, outputs, "targets");
  return examples(inputs, read == 1 ? targets.squeeze(1) : targets);
}

MeanLoss mean_cross_entropy(at::ScalarType dtype) {
  return [dtype](const at::Tensor& z, const at::Tensor& y) {
    return at::cross_entropy_loss(z.reshape({-1, z.size(-1)}).to(dtype), y.reshape({-1}));
  };
}

at::Tensor mean_one_hot_mse(const at::Tensor& z, const at::Tensor& y) {
  return at::mse_loss(z, at::one_hot(y, z.size(1)).to(z.scalar_type()));
}

Case make_case(const std::string& paper, const std::string& what, TrainingOptions options, Forced forced,
               std::unique_ptr<Model> model, std::unique_ptr<Loss> loss, const Dataset& train,
               MeanLoss plain_loss, const PlainForward& forward) {
  if (forced) options.dtype = "float64";
  Case c{paper,   what,
         options, std::make_unique<Given>(std::move(model), std::move(loss), train),
         nullptr, std::move(plain_loss)};
  c.task->convert(at::kCPU, parameter_type(options));
  if (forward) {
    c.plain = std::make_unique<PlainModel>(c.task->model().parameters, forward);
  } else {
    c.plain = std::make_unique<AllPositions>(dynamic_cast<const Transformer&>(c.task->model()));
  }
  return c;
}

Case power(Forced forced) {
  return make_case("01", "two blocks, post-norm, 512 x 6 tokens", adamw(kDecay, {512}), forced,
                   std::make_unique<Transformer>(power_shape(), 0),
                   token_cross_entropy(forced.value_or(at::kFloat)), sequences(power_shape(), 9 * 512),
                   mean_cross_entropy(forced.value_or(at::kFloat)), {});
}

Case liu_effective(Forced forced) {
  const auto templates = normal_init({19, 30}, 1, 0, "templates").to(forced.value_or(at::kFloat));
  const EmbeddingMlpShape shape{10, {{1, 200, 200, 30}, "tanh", true}};
  return make_case(
      "02", "embedding and MLP 1-200-200-30, 45 rows", adamw(kDecay), forced,
      std::make_unique<EmbeddingMlp>(shape, 0), template_mse(templates, forced.value_or(at::kFloat)),
      examples(random_integers({45, 2}, 10, "inputs"), random_integers({45}, 19, "targets")),
      [templates](const at::Tensor& z, const at::Tensor& y) {
        return at::mse_loss(z, templates.index_select(0, y));
      },
      plain_embedding_mlp);
}

Case nanda(Forced forced) {
  auto options = adamw(kDecay);
  options.loss_dtype = "float64";
  return make_case("03", "one block, 3,830 x 3 tokens", options, forced,
                   std::make_unique<OneLayerTransformer>(OneLayerTransformerShape{}, 0),
                   cross_entropy(at::kDouble), split_at_random(modular_table(113, "add"), 3830, 0).train,
                   mean_cross_entropy(at::kDouble), plain_one_layer_transformer);
}

/// The miniature: the paper's own size is for a GPU.
Case wang(Forced forced) {
  const auto shape = wang_miniature_shape();
  auto train = sequences(shape, 10 * 580);
  const auto is_atom =
      random_integers({train.size()}, 10, "kind").eq(0);  // asked for at position 1, the others at 2
  train.targets.select(1, 0).masked_fill_(is_atom.logical_not(), -1);
  train.targets.select(1, 1).masked_fill_(is_atom, -1);
  return make_case("04", "the miniature: two blocks, pre-norm, 580 x 3", adamw(kDecay, {580}), forced,
                   std::make_unique<Transformer>(shape, 0), token_cross_entropy(forced.value_or(at::kFloat)),
                   train,
                   [](const at::Tensor& z, const at::Tensor& y) {
                     return at::cross_entropy_loss(z.reshape({-1, z.size(-1)}), y.reshape({-1}), {},
                                                   at::Reduction::Mean, -1);
                   },
                   {});
}

Case mnist(Forced forced, const std::string& paper, const std::string& what,
           std::vector<std::int64_t> widths) {
  auto options = adamw(kDecay, {200});
  options.dtype = "float64";
  return make_case(
      paper, what, options, forced, std::make_unique<Mlp>(MlpShape{std::move(widths), "relu", true}, 1, 0),
      one_hot_mse(at::kDouble),
      examples(uniform_init({1000, 784}, 1, 0, "inputs"), random_integers({1000}, 10, "targets")),
      mean_one_hot_mse, plain_mlp);
}

Case slingshot(Forced forced, std::int64_t d_in, std::int64_t width) {
  TrainingOptions options;
  options.optimizer = "adam";
  options.betas = {0.9, 0.95};
  const MlpShape shape{{d_in, width, width, width, width, width, 10}, "relu", true};
  return make_case("07", fmt::format("MLP {}-5x{}-10, 200 rows", d_in, width), options, forced,
                   std::make_unique<Mlp>(shape, 1, 0), plain_cross_entropy(forced.value_or(at::kFloat)),
                   examples(normal_init({200, d_in}, 1, 0, "inputs"), random_integers({200}, 10, "targets")),
                   mean_cross_entropy(forced.value_or(at::kFloat)), plain_mlp);
}

Case slingshot_division(Forced forced) {
  TrainingOptions options;
  options.optimizer = "adam";
  options.batch_size = {512};
  return make_case("07", "two blocks, no norm, 512 x 4 tokens", options, forced,
                   std::make_unique<Transformer>(slingshot_shape(), 0),
                   plain_cross_entropy(forced.value_or(at::kFloat)), sequences(slingshot_shape(), 9 * 512),
                   mean_cross_entropy(forced.value_or(at::kFloat)), {});
}

Case doshi(Forced forced) {
  return make_case("08", "squares of 500 sums, 4,704 rows", adamw(kDecay), forced,
                   std::make_unique<PowerMlp>(PowerMlpShape{}, 0), one_hot_mse(forced.value_or(at::kFloat)),
                   split_at_random(modular_table(97, "add"), 4704, 0).train, mean_one_hot_mse,
                   plain_power_mlp);
}

Case levi(Forced forced) {
  TrainingOptions options;
  options.optimizer = "sgd";
  options.dtype = "float64";
  return make_case(
      "09", "1,000 inputs, one output, 1,111 rows", options, forced,
      std::make_unique<LinearModel>(normal_init({1, 1000}, 0.03, 0, "student")), regression_mse(1e-3),
      examples(normal_init({1111, 1000}, 1, 0, "inputs"), normal_init({1111, 1}, 1, 0, "targets")),
      [](const at::Tensor& z, const at::Tensor& y) { return at::mse_loss(z, y); }, plain_linear);
}

Case minegishi(Forced forced) {
  auto options = adamw(kDecay);
  options.loss_dtype = "float64";
  return make_case("10", "500 dimensions, 48 hidden, 911 rows", options, forced,
                   std::make_unique<FoldedMlp>(FoldedMlpShape{}, 0), cross_entropy(at::kDouble),
                   examples(random_integers({911, 2}, 67, "inputs"), random_integers({911}, 67, "targets")),
                   mean_cross_entropy(at::kDouble), plain_two_token_mlp);
}

/// Largest difference of a parameter's gradient of the mean loss over all examples, relative to its norm; a
/// gradient that vanishes (that of a key's bias) is held against all of them together.
double gradient_difference(const Case& c) {
  const auto& train = c.task->data().train;
  const auto ours =
      backward_pass(c.task->model(), c.task->loss(), train.inputs, train.targets, Taping::off).gradients;
  auto tape = Tape::inactive();
  c.plain_loss(c.plain->forward(train.inputs, tape), train.targets).backward();
  std::vector<at::Tensor> plain;
  double square = 0;
  for (const auto& p : c.plain->parameters.all()) {
    plain.push_back(p.value.grad());
    square += plain.back().square().sum().item<double>();
  }
  double worst = 0;
  for (std::size_t k = 0; k < ours.size(); ++k) {
    const double scale = std::max(plain[k].norm().item<double>(), kVanishing * std::sqrt(square));
    worst = std::max(worst, (ours[k] / train.size() - plain[k]).norm().item<double>() / scale);
  }
  return worst;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

template <class Step>
double seconds_a_step(const Step& step, std::int64_t steps) {
  const Stopwatch watch;
  for (std::int64_t i = 0; i < steps; ++i) step();
  return watch.seconds() / static_cast<double>(steps);
}

/// Prints a row; false when it is not as it should be.
bool benchmark(const Communicator& comm, const Case& c, double difference, int repeats) {
  TimerTree timers;
  Trainer trainer(comm, *c.task, c.options, timers);
  PlainTrainer plain(c);
  const StopFlag stop;
  const auto our_step = [&] { trainer.backward(Taping::off, stop), trainer.update(); };
  const auto plain_step = [&] { plain.step(); };
  seconds_a_step(our_step, 3);
  const auto steps = static_cast<std::int64_t>(kRepeat / std::min(kRepeat, seconds_a_step(plain_step, 3)));
  std::vector<double> ours, theirs, ratios;
  for (int r = 0; r < repeats; ++r) {  // in turn, so that a drift of the machine meets both
    ours.push_back(seconds_a_step(our_step, steps));
    theirs.push_back(seconds_a_step(plain_step, steps));
    ratios.push_back(theirs.back() / ours.back());
  }
  const double ratio = median(ratios);
  const bool agrees = difference < kDifference;
  const bool is_slower = median(ours) > median(theirs) / (1 - kScatter) + kBookkeeping;
  fmt::print("{}  {:<46} {:>8.2f} ms {:>8.2f} ms {:>6.2f} x   gradients to {:.0e}{}{}\n", c.paper, c.what,
             1e3 * median(ours), 1e3 * median(theirs), ratio, difference, agrees ? "" : "  WRONG",
             is_slower ? "  SLOWER" : "");
  return agrees && !is_slower;
}

int run(int argc, char** argv) {
  MpiEnvironment mpi(&argc, &argv);
  set_threads(1);
  int repeats = 5;
  std::set<std::string> wanted;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--repeats") == 0 && i + 1 < argc) {
      repeats = std::atoi(argv[++i]);
    } else {
      wanted.insert(argv[i]);
    }
  }
  const auto comm = mpi.world();
  fmt::print("a training step                                          ours       plain   plain / ours\n");
  bool fine = true;
  const std::vector<std::function<Case(Forced)>> cases{
      power,
      liu_effective,
      nanda,
      wang,
      [](Forced f) {
        return mnist(f, "05", "MLP 784-200-200-10, 200 rows", {784, 200, 200, 10});
      },
      [](Forced f) {
        return mnist(f, "06", "MLP 784-200-200-200-10, 200 rows", {784, 200, 200, 200, 10});
      },
      [](Forced f) { return slingshot(f, 32, 64); },
      [](Forced f) { return slingshot(f, 3072, 512); },
      slingshot_division,
      doshi,
      levi,
      minegishi};
  for (const auto& make : cases) {
    const auto c = make({});
    if (!wanted.empty() && !wanted.contains(c.paper)) continue;
    fine = benchmark(comm, c, gradient_difference(make(at::kDouble)), repeats) && fine;
  }
  mpi.finalize();
  return fine ? 0 : 1;
}

}  // namespace
}  // namespace grokscope

int main(int argc, char** argv) {
  return grokscope::run(argc, argv);
}
