#include "experiments/06_humayun_deep/robustness.hpp"

#include <algorithm>

#include "nn/input_gradient.hpp"

namespace grokscope::humayun {
namespace {

constexpr std::int64_t kPortion = 50;  ///< images attacked at once, whatever the number of processes

/// Calls work(begin, end) for every portion of n images that is this process's.
template <class Work>
void for_my_portions(std::int64_t n, const Spread& spread, Work work) {
  const auto mine = spread.share((n + kPortion - 1) / kPortion);
  for (auto portion = mine.begin; portion < mine.end; ++portion) {
    work(portion * kPortion, std::min((portion + 1) * kPortion, n));
  }
}

double count(const at::Tensor& flags) { return static_cast<double>(flags.sum().item<std::int64_t>()); }

/// Wrong answers under plain PGD, one count a radius, and of the clean images; fills the gradient norms [n].
std::vector<double> wrong_under_pgd(const Model& model, const Images& images, const at::Tensor& starts,
                                    const RobustnessOptions& o, const Spread& spread, std::vector<double>& norms) {
  std::vector<double> totals(o.radii.size() + 1, 0.0);
  const Ascent pgd{cross_entropy_attack, o.pgd_steps, o.pgd_step};
  for_my_portions(images.inputs.size(0), spread, [&](std::int64_t begin, std::int64_t end) {
    const auto part = images.rows(begin, end);
    const auto from = starts.slice(0, begin, end);
    for (std::size_t r = 0; r < o.radii.size(); ++r) {
      totals[r] += count(attack(model, part, part.inputs + o.radii[r] * from, o.radii[r], pgd).fooled);
    }
    const auto loss = [&](const at::Tensor& z) { return cross_entropy_attack(z, part.targets); };
    const auto clean = input_gradient(model, part.inputs, loss);
    totals.back() += count(clean.outputs.argmax(1) != part.targets);
    const auto l1 = clean.gradient.abs().sum(1).to(at::kCPU, at::kDouble).contiguous();
    std::copy_n(l1.data_ptr<double>(), end - begin, norms.begin() + begin);
  });
  spread.sum(totals);
  spread.sum(norms);
  return totals;
}

/// Wrong under any attack at this radius: [n] bool. `transferred` [n, d]: adversarial images of the early model, if any.
at::Tensor fooled_by_any(const Model& model, const Images& images, const at::Tensor& start,
                         const at::Tensor& transferred, double radius, const RobustnessOptions& o) {
  const Ascent pgd{cross_entropy_attack, o.pgd_steps, o.pgd_step},
      longer{cross_entropy_attack, o.long_pgd_steps, o.pgd_step}, margin{margin_attack, o.margin_steps, radius, true};
  auto fooled = attack(model, images, start, radius, pgd).fooled_ever;
  fooled = fooled | attack(model, images, start, radius, longer).fooled_ever;
  fooled = fooled | attack(model, images, start, radius, margin).fooled_ever;
  if (transferred.defined()) fooled = fooled | attack(model, images, transferred, radius, margin).fooled_ever;
  return fooled;
}

/// Wrong answers: under any attack, then of transferred images, one count a strong radius each.
std::vector<double> wrong_under_strong_attacks(const Model& model, const Model* early, const Images& images,
                                               const at::Tensor& starts, const RobustnessOptions& o,
                                               const Spread& spread) {
  const auto k = o.strong_radii.size();
  std::vector<double> totals(2 * k, 0.0);
  for_my_portions(images.inputs.size(0), spread, [&](std::int64_t begin, std::int64_t end) {
    const auto part = images.rows(begin, end);
    auto fooled = wrong(model, part.inputs, part.targets);  // within a smaller radius is within this one
    for (std::size_t r = 0; r < k; ++r) {
      const double radius = o.strong_radii[r];
      const auto start = part.inputs + radius * starts.slice(0, begin, end);
      at::Tensor transferred;
      if (early != nullptr) {
        transferred = attack(*early, part, start, radius, {margin_attack, o.margin_steps, radius, true}).inputs;
        totals[k + r] += count(wrong(model, transferred, part.targets));
      }
      fooled = fooled | fooled_by_any(model, part, start, transferred, radius, o);
      totals[r] += count(fooled);
    }
  });
  spread.sum(totals);
  return totals;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

}  // namespace

void RobustnessOptions::declare(Schema& s) {
  s.add("images", images, "test images attacked, evenly spread over the split").unit("example").at_least(1);
  s.add("radii", radii, "l_inf radii of PGD, in pixel units").above(0).at_most(1).length_at_least(1);
  s.add("pgd_steps", pgd_steps, "moves of PGD").unit("step").at_least(1);
  s.add("pgd_step", pgd_step, "size of a move").above(0);
  s.add("strong_images", strong_images, "of the attacked images, those that meet every attack")
      .unit("example").at_least(1);
  s.add("strong_radii", strong_radii, "radii of the worst case and of the transfer, increasing").above(0).at_most(1);
  s.add("long_pgd_steps", long_pgd_steps, "moves of the longer PGD").unit("step").at_least(1);
  s.add("margin_steps", margin_steps, "moves of PGD on the margin, whose size shrinks from the radius to 0")
      .unit("step").at_least(1);
  s.add("transfer_from_step", transfer_from_step, "the first observation at or past this step is the early model")
      .unit("step").at_least(0);
}

at::Tensor evenly_spread(std::int64_t n, std::int64_t count) {
  const auto m = std::min(n, count);
  return (at::arange(m, at::kLong) * n).div(m, "floor");
}

Robustness measure_robustness(const Model& model, const Model* early, const Images& images, const at::Tensor& starts,
                              const RobustnessOptions& options, const Spread& spread) {
  const auto n = images.inputs.size(0);
  const auto share_right = [](double wrong_count, std::int64_t of) { return 1 - wrong_count / static_cast<double>(of); };
  Robustness result;
  std::vector<double> norms(static_cast<std::size_t>(n), 0.0);
  const auto pgd = wrong_under_pgd(model, images, starts, options, spread, norms);
  for (std::size_t r = 0; r < options.radii.size(); ++r) result.pgd.push_back(share_right(pgd[r], n));
  result.clean = share_right(pgd.back(), n);
  result.input_gradient_l1 = median(norms);

  const auto some = evenly_spread(n, options.strong_images).to(images.targets.device());
  const Images strong{images.inputs.index_select(0, some), images.targets.index_select(0, some)};
  const auto totals = wrong_under_strong_attacks(model, early, strong, starts.index_select(0, some), options, spread);
  const auto k = options.strong_radii.size();
  for (std::size_t r = 0; r < k; ++r) {
    result.worst_case.push_back(share_right(totals[r], some.size(0)));
    if (early != nullptr) result.transfer.push_back(share_right(totals[k + r], some.size(0)));
  }
  return result;
}

}  // namespace grokscope::humayun
