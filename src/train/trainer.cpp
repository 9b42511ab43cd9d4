#include "train/trainer.hpp"

#include <algorithm>
#include <cmath>

#include "base/hash.hpp"
#include "base/random.hpp"

namespace grokscope {
namespace {

const std::string kTaskState = "probes/task/";

std::span<const std::byte> bytes_of(const at::Tensor& t) {
  return {static_cast<const std::byte*>(t.data_ptr()), t.nbytes()};
}

template <class T>
void sum_over_ranks(const Communicator& comm, at::Tensor& flat) {
  comm.sum_slices_in_rank_order<T>({flat.data_ptr<T>(), static_cast<std::size_t>(flat.numel())});
}

/// out = in / divisor, in place too; whether all are finite numbers. 0 times a number is 0, and NaN for NaN and infinity, so
/// that one sum, which cannot overflow, tells. LibTorch would need three passes, and its calls alone are a tenth of a small
/// model's step.
template <class T>
bool divide_values(const T* in, std::int64_t n, T divisor, T* out) {
  constexpr std::int64_t kWidth = 16;
  std::array<T, kWidth> sums{};
  const auto whole = n / kWidth * kWidth;
  for (std::int64_t i = 0; i < whole; i += kWidth) {
    std::array<T, kWidth> v;
    std::copy_n(in + i, kWidth, v.begin());
    for (auto& x : v) x /= divisor;
    for (std::size_t k = 0; k < kWidth; ++k) sums[k] += 0 * v[k];
    std::copy_n(v.begin(), kWidth, out + i);
  }
  for (auto i = whole; i < n; ++i) sums[0] += 0 * (out[i] = in[i] / divisor);
  return std::all_of(sums.begin(), sums.end(), [](T sum) { return sum == 0; });
}

/// out = in / divisor; whether all are finite numbers.
bool divide(const at::Tensor& in, double divisor, at::Tensor& out) {
  if (!in.is_cpu()) {
    out.copy_(in).div_(divisor);
    return at::isfinite(out).all().item<bool>();
  }
  const auto values = in.contiguous();
  if (in.scalar_type() == at::kFloat) {
    return divide_values(values.data_ptr<float>(), in.numel(), static_cast<float>(divisor), out.data_ptr<float>());
  }
  return divide_values(values.data_ptr<double>(), in.numel(), divisor, out.data_ptr<double>());
}

}  // namespace

Trainer::Trainer(const Communicator& comm, Task& task, const TrainingOptions& options, TimerTree& timers)
    : comm_(comm), task_(task), options_(options), timers_(timers), optimizer_(task.model().parameters, options),
      examples_(task.data().train.size()),
      batch_(options.batch_size.is_full() ? examples_ : std::min(options.batch_size.examples, examples_)),
      steps_per_epoch_((examples_ + batch_ - 1) / batch_),
      total_steps_(options.steps.value_or(options.epochs * steps_per_epoch_)),
      initial_norm_(task.model().parameters.norm()) {}

Moment Trainer::now() const {
  return {step_ / steps_per_epoch_, step_, step_ % steps_per_epoch_, step_ >= total_steps_};
}

Dataset Trainer::my_share(const Dataset& split) const {
  if (comm_.size() == 1) return split;
  return split.rows(even_share(split.size(), comm_.size(), comm_.rank()));
}

Dataset Trainer::present_batch() const {
  if (is_full_batch()) return my_share(task_.data().train);
  const auto epoch = step_ / steps_per_epoch_;
  if (epoch != order_epoch_) {
    auto order = random_permutation(examples_, RandomStream(static_cast<std::uint64_t>(options_.seed), "order",
                                                            static_cast<std::uint64_t>(epoch)));
    order_ = at::from_blob(order.data(), {examples_}, at::kLong).clone().to(task_.data().train.ids.device());
    order_epoch_ = epoch;
  }
  const auto begin = step_ % steps_per_epoch_ * batch_;
  const auto size = std::min(batch_, examples_ - begin);
  const auto mine = even_share(size, comm_.size(), comm_.rank());
  return task_.data().train.select(order_.slice(0, begin + mine.begin, begin + mine.end));
}

StepPass Trainer::backward(Taping taping, const StopFlag& stop) {
  const auto batch = present_batch();
  Pass pass;
  {
    const auto timer = timers_.scope("backward");
    const auto noise = task_.model().is_stochastic()
                           ? TrainingNoise(static_cast<std::uint64_t>(options_.seed), step_, batch.ids)
                           : TrainingNoise::none();
    pass = backward_pass(task_.model(), task_.loss(), batch.inputs, batch.targets, taping, noise);
  }
  const auto timer = timers_.scope("reduce");
  at::NoGradGuard no_grad;
  std::array<double, 3> totals{pass.loss_sum, stop.wanted() ? 1.0 : 0.0, static_cast<double>(batch.size())};
  comm_.sum_in_rank_order(totals);
  StepPass result{totals[0] / totals[2], totals[1] > 0, std::move(pass.outputs), std::move(pass.taps)};
  result.is_finite = take_gradients(pass.gradients, totals[2]) && std::isfinite(result.loss);
  if (taping == Taping::on) result.gradient_square = std::pow(totals[2], 2) * flat_.to(at::kDouble).square().sum().item<double>();
  return result;
}

bool Trainer::take_gradients(const std::vector<at::Tensor>& sums, double count) {
  if (!flat_.defined()) {
    flat_ = at::empty({task_.model().parameters.total()}, sums[0].options());
    std::int64_t offset = 0;
    for (const auto& g : sums) {
      gradients_.push_back(flat_.slice(0, offset, offset + g.numel()).view(g.sizes()));
      offset += g.numel();
    }
  }
  if (comm_.size() == 1) {
    bool is_finite = true;
    for (std::size_t k = 0; k < sums.size(); ++k) is_finite = divide(sums[k], count, gradients_[k]) && is_finite;
    return is_finite;
  }
  for (std::size_t k = 0; k < sums.size(); ++k) gradients_[k].copy_(sums[k]);
  auto on_host = flat_.to(at::kCPU);
  if (on_host.scalar_type() == at::kFloat) {
    sum_over_ranks<float>(comm_, on_host);
  } else {
    sum_over_ranks<double>(comm_, on_host);
  }
  const bool is_finite = divide(on_host, count, on_host);
  flat_.copy_(on_host);
  return is_finite;
}

std::pair<double, double> Trainer::score(const Dataset& split) const {
  if (split.size() == 0) return {kMissing, kMissing};
  const auto mine = my_share(split);
  const auto score = grokscope::evaluate(task_.model(), task_.loss(), mine.inputs, mine.targets);
  std::array<double, 2> totals{score.loss_sum, static_cast<double>(score.correct)};
  comm_.sum_in_rank_order(totals);
  const auto n = static_cast<double>(split.size());
  return {totals[0] / n, totals[1] / n};
}

double Trainer::accuracy(const StepPass& full_batch) const {
  const auto targets = my_share(task_.data().train).targets;
  std::array<double, 1> correct{static_cast<double>(task_.loss().correct(full_batch.outputs, targets).sum().item<std::int64_t>())};
  comm_.sum_in_rank_order(correct);
  return correct[0] / static_cast<double>(examples_);
}

Evaluation Trainer::evaluate(const StepPass& pass) const {
  const auto timer = timers_.scope("evaluate");
  const auto train = is_full_batch() && !task_.is_stochastic() ? std::pair{pass.loss, accuracy(pass)}
                                                               : score(task_.data().train);
  const auto exact = task_.exact_test_score();
  const auto test = exact ? *exact : score(task_.data().test);
  return {train.first, test.first, train.second, test.second};
}

void Trainer::update() {
  const auto timer = timers_.scope("update");
  task_.before_update(now());
  for (std::size_t k = 0; k < mask_.size(); ++k) gradients_[k].mul_(mask_[k]);
  optimizer_.update(gradients_, step_);
  if (options_.constrain_norm == "initial") constrain_norm();
  ++step_;
}

void Trainer::set_mask(std::vector<at::Tensor> mask) {
  const auto& parameters = task_.model().parameters.all();
  require(mask.size() == parameters.size(), "a mask for another set of parameters");
  for (std::size_t k = 0; k < mask.size(); ++k) mask[k] = mask[k].to(parameters[k].value.options().requires_grad(false));
  mask_ = std::move(mask);
}

/// Every rank holds the same parameters, so that each finds the same factor for itself.
void Trainer::constrain_norm() {
  auto& parameters = task_.model().parameters;
  const double norm = parameters.norm();
  if (norm > 0) parameters.scale(initial_norm_ / norm);
}

std::vector<NamedArray> Trainer::state() const {
  std::vector<NamedArray> arrays;
  for (const auto& p : task_.model().parameters.all()) {
    arrays.push_back(to_named_array("parameters/" + p.name, p.value)
                         .described({p.name, "1", "value before the step that the file's attribute `step` names"}));
  }
  for (auto& array : optimizer_.state()) arrays.push_back(std::move(array));
  for (auto& array : task_.state()) {
    array.name = kTaskState + array.name;
    arrays.push_back(std::move(array));
  }
  arrays.push_back(NamedArray::scalar<std::int64_t>("rng/step", step_)
                       .described({"optimizer steps", "1", "steps taken; all random streams are counted by it"}));
  if (options_.constrain_norm == "initial") {
    arrays.push_back(NamedArray::scalar<double>("optimizer/initial_norm", initial_norm_)
                         .described({"norm that every step restores", "1", "sqrt of the sum of all squared parameters"}));
  }
  return arrays;
}

void Trainer::load(std::span<const NamedArray> arrays) {
  at::NoGradGuard no_grad;
  for (const auto& p : task_.model().parameters.all()) {
    auto value = p.value;
    value.copy_(to_tensor(find_array(arrays, "parameters/" + p.name)));
  }
  optimizer_.load(arrays);
  std::vector<NamedArray> of_task;
  for (const auto& array : arrays) {
    if (!array.name.starts_with(kTaskState)) continue;
    of_task.push_back(array);
    of_task.back().name.erase(0, kTaskState.size());
  }
  task_.load(of_task);
  step_ = find_array(arrays, "rng/step").values<std::int64_t>()[0];
  if (options_.constrain_norm == "initial") initial_norm_ = find_array(arrays, "optimizer/initial_norm").values<double>()[0];
}

std::uint64_t Trainer::agreed_parameter_hash() const {
  const auto flat = task_.model().parameters.flat().to(at::kCPU);
  const auto hash = hash_bytes(bytes_of(flat).data(), bytes_of(flat).size());
  for (const auto other : comm_.all_gather<std::uint64_t>({&hash, 1})) {
    require(other == hash, "ranks hold different parameters");
  }
  return hash;
}

}  // namespace grokscope
