#include "class_gradients.hpp"

#include "gradients/products.hpp"
#include "probes/tracked_examples.hpp"

namespace eleventh {
namespace {

using namespace grokscope;

class ClassGradients : public Probe {
 public:
  ClassGradients(const ProbeSurroundings& around, std::int64_t every) : around_(around), every_(every) {
    const auto targets = around.task.data().train.targets.to(at::kCPU);
    const auto classes = targets.max().item<std::int64_t>() + 1;
    members_ = at::one_hot(targets, classes).to(at::kDouble);
    members_ = members_ / members_.sum(0);  // columns average over a class
  }

  std::string name() const override { return "class_gradients"; }
  bool due(const Moment& now) const override {
    return now.final || (now.at_epoch_start() && now.epoch % every_ == 0);
  }
  bool uses_training_taps() const override { return false; }

  void measure(const ProbeMoment& moment) override {
    const auto g = gradients_of(around_.comm, around_.task, around_.task.data().train);
    const auto means = weighted_sum(g, members_);  // my rows of the P x classes means
    const auto square = inner_products(around_.comm, means, means).diagonal().sqrt().contiguous();
    Record record{"probes/class_gradients", moment.now.epoch, moment.now.step, {}};
    record.set({"probes/class_gradients/norm", "norm of the mean gradient of each class", "loss/parameter",
                "|mean of g_i over the training examples of the class|, a column a class"},
               std::vector<double>(square.data_ptr<double>(), square.data_ptr<double>() + square.numel()));
    around_.writer.append(record);
  }

 private:
  ProbeSurroundings around_;
  std::int64_t every_;
  at::Tensor members_;  ///< [N, classes]
};

class Options : public ProbeOptions {
 public:
  void declare(Schema& s) override {
    s.add("every", every_, "epochs between measurements").unit("epoch").at_least(1);
  }
  std::unique_ptr<Probe> make(const ProbeSurroundings& around) const override {
    return std::make_unique<ClassGradients>(around, every_);
  }

 private:
  std::int64_t every_ = 10;
};

}  // namespace

ProbeKind class_gradients() {
  return {"class_gradients", [] { return std::make_unique<Options>(); }};
}

}  // namespace eleventh
