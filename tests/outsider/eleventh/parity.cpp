#include "parity.hpp"

#include "nn/layers.hpp"

namespace eleventh {
namespace {

using namespace grokscope;

/// W_2 relu(W_1 x + b): made of layers that record themselves on the tape.
class ParityNet : public Model {
 public:
  ParityNet(std::int64_t bits, std::int64_t width, std::uint64_t seed) {
    const auto weight = [&](const char* name, std::int64_t rows, std::int64_t cols) {
      return normal_init({rows, cols}, 1 / std::sqrt(static_cast<double>(cols)), seed, name);
    };
    parameters.add("hidden.weight", "hidden", weight("hidden.weight", width, bits));
    parameters.add("hidden.bias", "hidden", at::zeros({width}, at::kDouble));
    parameters.add("readout.weight", "readout", weight("readout.weight", 2, width));
  }

  at::Tensor forward(const at::Tensor& inputs, Tape& tape) const override {
    const auto hidden = activate(linear(inputs, parameters[0], &parameters[1], tape), "relu");
    return linear(hidden, parameters[2], nullptr, tape);
  }
};

class Parity : public Task {
 public:
  TaskInfo info() const override {
    return {"11_parity", "Parity of a few of many bits", "A test, 2026, An experiment of one's own",
            "the hidden units turn to the bits that count"};
  }

  void declare(Schemas& schemas) override {
    auto& data = schemas.section("data");
    data.add("bits", bits_, "length of an input").range(2, 16);
    data.add("relevant", relevant_, "the first so many bits make the parity").at_least(1);
    data.add("n_train", n_train_, "inputs that train, of all 2^bits").at_least(1);
    schemas.section("model").add("width", width_, "hidden units").at_least(1);
  }

  void check(const TrainingOptions&, Problems& problems) const override {
    if (relevant_ > bits_) problems.add("data.relevant", "more bits than there are", "", "lower it");
  }

  void build_data(const TrainingOptions& training) override {
    const auto ids = at::arange(std::int64_t{1} << bits_, at::kLong);
    const auto places = at::arange(bits_, at::kLong);
    const auto set =
        ids.unsqueeze(1).bitwise_right_shift(places.unsqueeze(0)).bitwise_and(1);  // [2^bits, bits]
    const auto parity = set.narrow(1, 0, relevant_).sum(1).remainder(2);
    data_ = split_at_random({ids, (2 * set - 1).to(at::kDouble), parity}, n_train_,
                            static_cast<std::uint64_t>(training.seed));
  }

  void build_model(const TrainingOptions& training) override {
    model_ = std::make_unique<ParityNet>(bits_, width_, static_cast<std::uint64_t>(training.seed));
    loss_ = cross_entropy(loss_type(training));
  }

  void observe(const Moment&, const Spread&, Record& record) const override {
    const auto square = model().parameters[0].value.detach().to(at::kDouble).square();
    record.set({"observables/relevant_share", "share of the hidden weights at the relevant bits", "1",
                "sum of w^2 over the first columns / sum of w^2"},
               (square.narrow(1, 0, relevant_).sum() / square.sum()).item<double>());
  }

 private:
  std::int64_t bits_ = 8;
  std::int64_t relevant_ = 3;
  std::int64_t n_train_ = 128;
  std::int64_t width_ = 32;
};

}  // namespace

Experiment parity() {
  return {Parity().info(), [] { return std::make_unique<Parity>(); }};
}

}  // namespace eleventh
