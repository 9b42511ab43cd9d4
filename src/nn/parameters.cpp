#include "nn/parameters.hpp"

#include <cmath>

#include "base/error.hpp"
#include "base/random.hpp"

namespace grokscope {

std::size_t ParameterSet::add(std::string name, std::string layer, const at::Tensor& initial) {
  if (layers_.empty() || layers_.back().name != layer) {
    for (const auto& known : layers_) require(known.name != layer, "the parameters of a layer must be added in a row");
    layers_.push_back({layer, {total_, total_}});
  }
  auto value = initial.detach().clone().contiguous();
  value.set_requires_grad(true);
  parameters_.push_back({std::move(name), std::move(layer), std::move(value), total_});
  total_ += parameters_.back().size();
  layers_.back().range.end = total_;
  return parameters_.size() - 1;
}

std::vector<at::Tensor> ParameterSet::tensors() const {
  std::vector<at::Tensor> result;
  for (const auto& parameter : parameters_) result.push_back(parameter.value);
  return result;
}

void ParameterSet::convert(at::Device device, at::ScalarType dtype) {
  for (auto& parameter : parameters_) {
    parameter.value = parameter.value.detach().to(device, dtype).clone();
    parameter.value.set_requires_grad(true);
  }
}

void ParameterSet::scale(double factor) {
  at::NoGradGuard no_grad;
  for (auto& parameter : parameters_) parameter.value.mul_(factor);
}

at::Tensor ParameterSet::flat() const {
  std::vector<at::Tensor> parts;
  for (const auto& parameter : parameters_) parts.push_back(parameter.value.detach().reshape({-1}));
  return at::cat(parts);
}

void ParameterSet::set_flat(const at::Tensor& values) {
  at::NoGradGuard no_grad;
  require(values.numel() == total_, "flat parameter vector of another length");
  for (auto& parameter : parameters_) {
    parameter.value.copy_(values.slice(0, parameter.offset, parameter.offset + parameter.size())
                              .view(parameter.value.sizes()));
  }
}

double ParameterSet::norm() const {
  double sum = 0;
  for (const auto& parameter : parameters_) {
    sum += parameter.value.detach().to(at::kDouble).square().sum().item<double>();
  }
  return std::sqrt(sum);
}

at::Tensor normal_init(std::vector<std::int64_t> shape, double std, std::uint64_t seed, const std::string& name) {
  auto tensor = at::empty(shape, at::kDouble);
  RandomStream stream(seed, "init/" + name);
  double* values = tensor.data_ptr<double>();
  for (std::int64_t i = 0; i < tensor.numel(); ++i) values[i] = std * stream.normal();
  return tensor;
}

at::Tensor uniform_init(std::vector<std::int64_t> shape, double bound, std::uint64_t seed, const std::string& name) {
  auto tensor = at::empty(shape, at::kDouble);
  RandomStream stream(seed, "init/" + name);
  double* values = tensor.data_ptr<double>();
  for (std::int64_t i = 0; i < tensor.numel(); ++i) values[i] = bound * (2 * stream.uniform() - 1);
  return tensor;
}

}  // namespace grokscope
