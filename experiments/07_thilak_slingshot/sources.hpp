// What do the networks of this paper train on?
#pragma once

#include <optional>
#include <string>

#include "base/schema.hpp"
#include "data/dataset.hpp"

namespace grokscope::slingshot {

/// The keys of `data` and what follows from them.
struct Source {
  std::string name = "gaussian";
  std::optional<std::string> folder;
  std::int64_t n_train = 200;
  std::int64_t n_test = 0;
  std::int64_t d_in = 32;
  std::int64_t classes = 10;
  std::int64_t p = 97;
  double train_fraction = 0.5;
  std::optional<std::int64_t> seed;

  void declare(Schema& s);
  void check(Problems& problems) const;

  /// Features of an input; outputs of the network.
  std::int64_t width() const;
  std::int64_t outputs() const { return name == "division" ? p : name == "gaussian" ? classes : 10; }

  /// How the tokens of an equation are given to a network.
  enum class Encoding { one_hot, tokens };

  /// gaussian: independent N(0, 1) features and uniform random labels. mnist, cifar10: the first images of the files,
  /// values in [0, 1]. division: all a / b = c modulo p, split at random; the tokens a, /, b, = as numbers,
  /// [n, 4] int64 (residues, then the operation p and the equals sign p + 1), or one-hot side by side, [n, 4 (p + 2)].
  /// Otherwise float64. On the CPU. Local.
  DataSplits build(std::uint64_t training_seed, Encoding encoding = Encoding::one_hot) const;
};

}  // namespace grokscope::slingshot
