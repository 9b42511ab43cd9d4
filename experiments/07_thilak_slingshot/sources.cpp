#include "experiments/07_thilak_slingshot/sources.hpp"

#include <fmt/format.h>

#include "base/random.hpp"
#include "data/cifar_images.hpp"
#include "data/idx_images.hpp"
#include "data/modular_arithmetic.hpp"
#include "data/table_split.hpp"
#include "data/teacher_student.hpp"

namespace grokscope::slingshot {
namespace {

Dataset gaussian_examples(const Source& s, std::uint64_t seed) {
  const auto n = s.n_train + s.n_test;
  auto labels = at::empty({n}, at::kLong);
  for (std::int64_t i = 0; i < n; ++i) {
    RandomStream stream(seed, "labels", 0, static_cast<std::uint64_t>(i));
    labels[i] = static_cast<std::int64_t>(stream.below(static_cast<std::uint64_t>(s.classes)));
  }
  return {at::arange(n, at::kLong), gaussian_matrix(n, s.d_in, seed, "inputs"), labels};
}

DataSplits image_splits(const Source& s) {
  const auto folder = s.folder.value_or("data/" + s.name);
  const auto fix = fmt::format("run tools/fetch_data.py {} --dir {}", s.name, folder);
  if (s.name == "cifar10") return {read_cifar10(folder, "train", s.n_train, fix), read_cifar10(folder, "test", s.n_test, fix)};
  return {read_idx_pair(folder, "train", 0, s.n_train, fix), read_idx_pair(folder, "t10k", 60000, s.n_test, fix)};
}

/// Tokens 0..p-1 are residues, p is the operation, p + 1 the equals sign.
at::Tensor equations(const at::Tensor& pairs, std::int64_t p, Source::Encoding encoding) {
  const auto n = pairs.size(0), vocabulary = p + 2;
  const auto operation = at::full({n}, p, at::kLong), equals = at::full({n}, p + 1, at::kLong);
  const auto tokens = at::stack({pairs.select(1, 0), operation, pairs.select(1, 1), equals}, 1);
  if (encoding == Source::Encoding::tokens) return tokens;
  return at::one_hot(tokens, vocabulary).to(at::kDouble).reshape({n, 4 * vocabulary});
}

}  // namespace

void Source::declare(Schema& s) {
  s.add("source", name, "what is trained on").one_of({"gaussian", "mnist", "cifar10", "division"});
  s.add("dir", folder, "folder of the image files; none: data/ and the source").not_scientific();
  s.add("n_train", n_train, "training examples: Gaussian, or the first images").unit("example").at_least(1);
  s.add("n_test", n_test, "test examples: Gaussian, or the first test images").unit("example").at_least(0);
  s.add("d_in", d_in, "features of a Gaussian input").at_least(1);
  s.add("classes", classes, "random labels of Gaussian inputs").at_least(2);
  s.add("p", p, "modulus of the division").range(3, 1000);
  s.add("train_fraction", train_fraction, "share of all divisions that train").above(0).below(1);
  s.add("seed", seed, "of inputs, labels and split; none: training.seed").at_least(0);
}

void Source::check(Problems& problems) const {
  if (name == "division") {
    check_prime(p, "division needs inverses", 97, problems);
    const auto n = modular_table_size(p, "divide");
    check_split(train_fraction, share_of_table(train_fraction, n), n, problems);
  }
  const auto too_many = [&](const char* key, std::int64_t wanted, std::int64_t there) {
    if (wanted > there) {
      problems.add(key, fmt::format("{} has {} images", name, there), "", fmt::format("use at most {}", there));
    }
  };
  if (name != "mnist" && name != "cifar10") return;
  too_many("data.n_train", n_train, name == "mnist" ? 60000 : 50000);
  too_many("data.n_test", n_test, 10000);
}

std::int64_t Source::width() const {
  if (name == "gaussian") return d_in;
  if (name == "division") return 4 * (p + 2);
  return name == "mnist" ? 784 : 3072;
}

DataSplits Source::build(std::uint64_t training_seed, Encoding encoding) const {
  const auto chosen = seed ? static_cast<std::uint64_t>(*seed) : training_seed;
  if (name == "gaussian") {
    const auto all = gaussian_examples(*this, chosen);
    return {all.rows({0, n_train}), all.rows({n_train, n_train + n_test})};
  }
  if (name == "division") {
    auto all = modular_table(p, "divide");
    all.inputs = equations(all.inputs, p, encoding);
    return split_at_random(all, share_of_table(train_fraction, all.size()), chosen);
  }
  auto splits = image_splits(*this);
  for (auto* split : {&splits.train, &splits.test}) split->inputs = split->inputs.to(at::kDouble) / 255;
  return splits;
}

}  // namespace grokscope::slingshot
