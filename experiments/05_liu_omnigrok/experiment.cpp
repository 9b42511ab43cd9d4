#include "experiments/05_liu_omnigrok/experiment.hpp"

#include <fmt/format.h>

#include "data/idx_images.hpp"
#include "nn/mlp.hpp"

namespace grokscope {
namespace {

TaskInfo omnigrok_info() {
  return {"05_liu_omnigrok", "MNIST from an enlarged initialisation: grokking on images",
          "Liu, Michaud and Tegmark 2022, Omnigrok: grokking beyond algorithmic data, arXiv 2210.01117",
          "with all weights enlarged 8 times, test accuracy rises to about .9 tens of thousands of steps after training "
          "accuracy, the later the smaller the weight decay"};
}

class LiuOmnigrok : public Task {
 public:
  TaskInfo info() const override { return omnigrok_info(); }

  void declare(Schemas& schemas) override {
    auto& data = schemas.section("data");
    data.add("dir", folder_, "folder of the MNIST IDX files").not_scientific();
    data.add("n_train", n_train_, "training images, the first in the file").unit("example").range(1, 60000);
    data.add("n_test", n_test_, "test images, the first in the file").unit("example").range(1, 10000);
    auto& model = schemas.section("model");
    model.add("hidden", hidden_, "widths of the hidden layers").at_least(1);
    model.add("activation", activation_, "between layers").one_of({"relu", "tanh"});
    model.add("init_scale", init_scale_, "alpha: factor on all initial weights and biases").above(0);
  }

  void build_data(const TrainingOptions&) override {
    const std::string fix = fmt::format("run tools/fetch_data.py mnist --dir {}", folder_);
    data_.train = first(read_idx_pair(folder_, "train", 0, fix), n_train_);
    data_.test = first(read_idx_pair(folder_, "t10k", 60000, fix), n_test_);
  }

  void build_model(const TrainingOptions& training) override {
    std::vector<std::int64_t> widths{784};
    widths.insert(widths.end(), hidden_.begin(), hidden_.end());
    widths.push_back(10);
    model_ = std::make_unique<Mlp>(MlpShape{widths, activation_, true}, init_scale_, static_cast<std::uint64_t>(training.seed));
    loss_ = one_hot_mse(loss_type(training));
  }

 private:
  /// The first rows, pixels in [0, 1].
  static Dataset first(const Dataset& all, std::int64_t n) {
    auto part = all.rows({0, std::min(n, all.size())});
    part.inputs = part.inputs.to(at::kDouble) / 255;
    return part;
  }

  std::string folder_ = "data/mnist";
  std::int64_t n_train_ = 1000;
  std::int64_t n_test_ = 10000;
  std::vector<std::int64_t> hidden_{200, 200};
  std::string activation_ = "relu";
  double init_scale_ = 8;
};

}  // namespace

Experiment liu_omnigrok() {
  return {omnigrok_info(), [] { return std::make_unique<LiuOmnigrok>(); }};
}

}  // namespace grokscope
