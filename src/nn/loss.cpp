#include "nn/loss.hpp"

#include <fmt/format.h>

#include <limits>

namespace grokscope {
namespace {

class CrossEntropy : public Loss {
 public:
  explicit CrossEntropy(at::ScalarType dtype) : dtype_(dtype) {}

  at::Tensor per_example(const at::Tensor& outputs, const at::Tensor& targets) const override {
    const auto z = outputs.to(dtype_);
    const auto column = targets.unsqueeze(1);
    const auto excess = (z - z.gather(1, column))
                            .scatter(1, column, -std::numeric_limits<double>::infinity());  // z_c - z_y, c != y
    const auto shift = at::clamp_min(std::get<0>(excess.detach().max(1)), 0);
    const auto others = at::exp(excess - shift.unsqueeze(1)).sum(1);
    return shift + at::log1p(at::expm1(-shift) + others);
  }
  at::Tensor correct(const at::Tensor& outputs, const at::Tensor& targets) const override {
    return outputs.argmax(1) == targets;
  }
  std::string definition() const override { return "loss_i = -log softmax(z_i)[y_i]; training loss = mean over i"; }

 private:
  at::ScalarType dtype_;
};

class TokenCrossEntropy : public Loss {
 public:
  explicit TokenCrossEntropy(at::ScalarType dtype) : of_token_(dtype) {}

  at::Tensor per_example(const at::Tensor& outputs, const at::Tensor& targets) const override {
    const auto is_supervised = targets.ge(0);
    const auto losses = of_token_.per_example(rows(outputs), targets.clamp_min(0).reshape({-1})).view(targets.sizes());
    return losses.masked_fill(is_supervised.logical_not(), 0).sum(1) / is_supervised.sum(1).clamp_min(1);
  }
  at::Tensor correct(const at::Tensor& outputs, const at::Tensor& targets) const override {
    return of_token_.correct(rows(outputs), targets.reshape({-1})).view(targets.sizes()).logical_or(targets.lt(0)).all(1);
  }
  std::string definition() const override {
    return "loss_i = mean over supervised tokens t of -log softmax(z_it)[y_it]; training loss = mean over i; correct when "
           "all of them are right";
  }

 private:
  static at::Tensor rows(const at::Tensor& outputs) { return outputs.reshape({-1, outputs.size(-1)}); }

  CrossEntropy of_token_;
};

class PlainCrossEntropy : public Loss {
 public:
  explicit PlainCrossEntropy(at::ScalarType dtype) : dtype_(dtype) {}

  at::Tensor per_example(const at::Tensor& outputs, const at::Tensor& targets) const override {
    return at::cross_entropy_loss(outputs.to(dtype_), targets, {}, at::Reduction::None);
  }
  at::Tensor correct(const at::Tensor& outputs, const at::Tensor& targets) const override {
    return outputs.argmax(1) == targets;
  }
  std::string definition() const override {
    return fmt::format("loss_i = -log softmax(z_i)[y_i] by log_softmax in {}; training loss = mean over i",
                       dtype_ == at::kDouble ? "float64" : "float32");
  }

 private:
  at::ScalarType dtype_;
};

class OneHotMse : public Loss {
 public:
  explicit OneHotMse(at::ScalarType dtype) : dtype_(dtype) {}

  at::Tensor per_example(const at::Tensor& outputs, const at::Tensor& targets) const override {
    const auto z = outputs.to(dtype_);
    const auto wanted = at::zeros_like(z).scatter_(1, targets.unsqueeze(1), 1.0);
    return at::mse_loss(z, wanted, at::Reduction::None).mean(1);
  }
  at::Tensor correct(const at::Tensor& outputs, const at::Tensor& targets) const override {
    return outputs.argmax(1) == targets;
  }
  std::string definition() const override {
    return "loss_i = mean over classes c of (z_ic - [c = y_i])^2; training loss = mean over i";
  }

 private:
  at::ScalarType dtype_;
};

class RegressionMse : public Loss {
 public:
  RegressionMse(double tolerance, std::optional<at::ScalarType> dtype) : tolerance_(tolerance), dtype_(dtype) {}

  at::Tensor per_example(const at::Tensor& outputs, const at::Tensor& targets) const override {
    const auto type = dtype_.value_or(outputs.scalar_type());
    const auto squares = at::mse_loss(outputs.to(type), targets.to(type), at::Reduction::None);
    return squares.size(1) == 1 ? squares.squeeze(1) : squares.mean(1);  // one node less at every step
  }
  at::Tensor correct(const at::Tensor& outputs, const at::Tensor& targets) const override {
    return per_example(outputs, targets) < tolerance_;
  }
  std::string definition() const override {
    return fmt::format("loss_i = mean over outputs of (z_i - y_i)^2; training loss = mean over i; correct when loss_i < {}",
                       tolerance_);
  }

 private:
  double tolerance_;
  std::optional<at::ScalarType> dtype_;
};

class TemplateMse : public Loss {
 public:
  TemplateMse(const at::Tensor& templates, at::ScalarType dtype) : templates_(templates.to(dtype)), dtype_(dtype) {}

  at::Tensor per_example(const at::Tensor& outputs, const at::Tensor& targets) const override {
    const auto z = outputs.to(dtype_);
    return at::mse_loss(z, templates_.to(z.device()).index_select(0, targets), at::Reduction::None).mean(1);
  }
  at::Tensor correct(const at::Tensor& outputs, const at::Tensor& targets) const override {
    const auto templates = templates_.to(outputs.device());
    const auto products = at::mm(outputs.to(dtype_), templates.t());
    return at::add(templates.square().sum(1), products, -2).argmin(1) == targets;  // |z - Y|^2 - |z|^2
  }
  std::string definition() const override {
    return "loss_i = mean over outputs of (z_i - Y_{y_i})^2, Y the templates; training loss = mean over i; correct when "
           "Y_{y_i} is the nearest template";
  }

 private:
  at::Tensor templates_;
  at::ScalarType dtype_;
};

}  // namespace

std::unique_ptr<Loss> cross_entropy(at::ScalarType dtype) { return std::make_unique<CrossEntropy>(dtype); }
std::unique_ptr<Loss> token_cross_entropy(at::ScalarType dtype) { return std::make_unique<TokenCrossEntropy>(dtype); }
std::unique_ptr<Loss> plain_cross_entropy(at::ScalarType dtype) { return std::make_unique<PlainCrossEntropy>(dtype); }
std::unique_ptr<Loss> one_hot_mse(at::ScalarType dtype) { return std::make_unique<OneHotMse>(dtype); }
std::unique_ptr<Loss> regression_mse(double tolerance, std::optional<at::ScalarType> dtype) {
  return std::make_unique<RegressionMse>(tolerance, dtype);
}
std::unique_ptr<Loss> template_mse(const at::Tensor& templates, at::ScalarType dtype) {
  return std::make_unique<TemplateMse>(templates, dtype);
}

}  // namespace grokscope
