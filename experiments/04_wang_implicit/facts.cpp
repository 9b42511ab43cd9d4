#include "experiments/04_wang_implicit/facts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <span>

#include "base/random.hpp"

namespace grokscope::wang {
namespace {

using Numbers = std::vector<std::int64_t>;

std::size_t at_index(std::int64_t index) { return static_cast<std::size_t>(index); }

std::int64_t share_of(double share, std::int64_t n) {
  return static_cast<std::int64_t>(std::nearbyint(share * static_cast<double>(n)));
}

/// Collects examples of one kind.
class Rows {
 public:
  Rows(const FactOptions& options, const Vocabulary& words) : end_(words.end), tokens_(options.end_token ? 4 : 3) {}

  void add(std::int64_t id, std::span<const std::int64_t> prompt, std::int64_t answer) {
    ids_.push_back(id);
    Numbers sequence(prompt.begin(), prompt.end());
    sequence.insert(sequence.end(), {answer, end_});
    inputs_.insert(inputs_.end(), sequence.begin(), sequence.begin() + tokens_);
    const auto asked = static_cast<std::int64_t>(prompt.size());
    for (std::int64_t t = kShortestPrompt; t <= tokens_; ++t) {
      const bool is_asked = t == asked || (t == asked + 1 && end_ != Vocabulary::kNone);
      targets_.push_back(is_asked ? sequence[at_index(t)] : -1);
    }
  }

  Dataset dataset() {
    const auto n = static_cast<std::int64_t>(ids_.size());
    const auto table = [n](Numbers& values, std::int64_t columns) {
      return at::from_blob(values.data(), {n, columns}, at::kLong).clone();
    };
    return {at::from_blob(ids_.data(), {n}, at::kLong).clone(), table(inputs_, tokens_),
            table(targets_, tokens_ - kShortestPrompt + 1)};
  }

 private:
  static constexpr std::int64_t kShortestPrompt = 2;
  std::int64_t end_;
  std::int64_t tokens_;
  Numbers ids_, inputs_, targets_;
};

/// What is so, and how it is numbered: atoms 0 .. atoms - 1, inferred facts 0 .. inferred - 1.
class World {
 public:
  explicit World(const FactOptions& options) : o_(options), words_(options), is_ood_(at_index(options.atoms()), false) {}
  virtual ~World() = default;

  virtual std::int64_t inferred() const = 0;
  /// The two atoms that fact k follows from.
  virtual std::pair<std::int64_t, std::int64_t> premises(std::int64_t k) const = 0;
  /// Facts that are held out together with fact k; empty where another one stands for it, or where k is none.
  virtual Numbers unit(std::int64_t k) const = 0;
  virtual std::int64_t unit_size(std::int64_t k) const = 0;
  virtual void write_atom(std::int64_t atom, Rows& rows) const = 0;
  virtual void write_inferred(std::int64_t k, Rows& rows) const = 0;

  bool is_ood(std::int64_t atom) const { return is_ood_[at_index(atom)]; }

 protected:
  /// Makes a share of n atoms from `begin` on OOD.
  void mark_ood(std::int64_t begin, std::int64_t n, RandomStream stream) {
    const auto order = random_permutation(n, stream);
    for (std::int64_t i = 0; i < share_of(o_.ood_share, n); ++i) is_ood_[at_index(begin + order[at_index(i)])] = true;
  }

  FactOptions o_;
  Vocabulary words_;

 private:
  std::vector<bool> is_ood_;
};

/// Every entity has out_degree relations, all different, each to a random entity. Atom h out_degree + j is its j-th; fact
/// (atom) out_degree + j goes on from the atom's tail by the tail's j-th.
class Composition : public World {
 public:
  Composition(const FactOptions& options, std::uint64_t seed) : World(options) {
    for (std::int64_t h = 0; h < o_.entities; ++h) {
      const auto id = static_cast<std::uint64_t>(h);
      const auto order = random_permutation(o_.relations, RandomStream(seed, "relations", 0, id));
      relation_.insert(relation_.end(), order.begin(), order.begin() + o_.out_degree);
      RandomStream tails(seed, "tails", 0, id);
      for (std::int64_t j = 0; j < o_.out_degree; ++j) {
        tail_.push_back(static_cast<std::int64_t>(tails.below(static_cast<std::uint64_t>(o_.entities))));
      }
    }
    mark_ood(0, o_.atoms(), RandomStream(seed, "ood_atoms"));
  }

  std::int64_t inferred() const override { return o_.atoms() * o_.out_degree; }
  std::pair<std::int64_t, std::int64_t> premises(std::int64_t k) const override {
    const auto first = k / o_.out_degree;
    return {first, tail_[at_index(first)] * o_.out_degree + k % o_.out_degree};
  }
  Numbers unit(std::int64_t k) const override { return {k}; }
  std::int64_t unit_size(std::int64_t) const override { return 1; }

  void write_atom(std::int64_t atom, Rows& rows) const override {
    rows.add(atom, std::array{head(atom), relation(atom)}, tail(atom));
  }
  void write_inferred(std::int64_t k, Rows& rows) const override {
    const auto [first, second] = premises(k);
    rows.add(o_.atoms() + k, std::array{head(first), relation(first), relation(second)}, tail(second));
  }

 private:
  std::int64_t head(std::int64_t atom) const { return words_.entity + atom / o_.out_degree; }
  std::int64_t relation(std::int64_t atom) const { return words_.relation + relation_[at_index(atom)]; }
  std::int64_t tail(std::int64_t atom) const { return words_.entity + tail_[at_index(atom)]; }

  Numbers relation_, tail_;  ///< by atom
};

/// Every entity has a random value of every attribute. Atom a entities + x is its value of a; fact (atom) entities + y
/// compares it with that of y, and is held out together with the fact that compares y with x.
class Comparison : public World {
 public:
  Comparison(const FactOptions& options, std::uint64_t seed) : World(options) {
    for (std::int64_t a = 0; a < o_.relations; ++a) {
      const auto id = static_cast<std::uint64_t>(a);
      RandomStream values(seed, "values", 0, id);
      for (std::int64_t x = 0; x < o_.entities; ++x) {
        value_.push_back(static_cast<std::int64_t>(values.below(static_cast<std::uint64_t>(o_.values))));
      }
      mark_ood(a * o_.entities, o_.entities, RandomStream(seed, "ood_atoms", 0, id));
    }
  }

  std::int64_t inferred() const override { return o_.atoms() * o_.entities; }
  std::pair<std::int64_t, std::int64_t> premises(std::int64_t k) const override {
    const auto first = k / o_.entities;
    return {first, attribute(first) * o_.entities + k % o_.entities};
  }
  Numbers unit(std::int64_t k) const override {
    const auto [first, second] = premises(k);
    if (unit_size(k) == 0) return {};
    return {k, second * o_.entities + first % o_.entities};
  }
  std::int64_t unit_size(std::int64_t k) const override {
    const auto [first, second] = premises(k);
    return first >= second ? 0 : 2;
  }

  void write_atom(std::int64_t atom, Rows& rows) const override {
    rows.add(atom, std::array{entity(atom), words_.relation + attribute(atom)}, words_.value + value_[at_index(atom)]);
  }
  void write_inferred(std::int64_t k, Rows& rows) const override {
    const auto [first, second] = premises(k);
    const auto u = value_[at_index(first)], v = value_[at_index(second)];
    const auto label = words_.label + 3 * attribute(first) + (u < v ? 0 : u == v ? 1 : 2);
    rows.add(o_.atoms() + k, std::array{words_.relation + attribute(first), entity(first), entity(second)}, label);
  }

 private:
  std::int64_t attribute(std::int64_t atom) const { return atom / o_.entities; }
  std::int64_t entity(std::int64_t atom) const { return words_.entity + atom % o_.entities; }

  Numbers value_;  ///< by atom
};

Dataset some_inferred(const World& world, const FactOptions& options, std::span<const std::int64_t> facts) {
  Rows rows(options, Vocabulary(options));
  for (const auto k : facts) world.write_inferred(k, rows);
  return rows.dataset();
}

/// The first `count` of a random order of facts.
Numbers random_choice(const Numbers& facts, std::int64_t count, std::uint64_t seed, std::string_view stream) {
  const auto order = random_permutation(static_cast<std::int64_t>(facts.size()), RandomStream(seed, stream));
  Numbers chosen;
  for (std::size_t i = 0; i < std::min(facts.size(), at_index(count)); ++i) chosen.push_back(facts[at_index(order[i])]);
  return chosen;
}

std::unique_ptr<World> make_world(const FactOptions& o, std::uint64_t seed) {
  if (o.composes()) return std::make_unique<Composition>(o, seed);
  return std::make_unique<Comparison>(o, seed);
}

/// Calls visit(k, is_ood) for the first fact k of every unit that follows from two atoms of one kind.
template <class Visit>
void for_each_unit(const World& world, Visit visit) {
  for (std::int64_t k = 0; k < world.inferred(); ++k) {
    if (world.unit_size(k) == 0) continue;
    const auto [first, second] = world.premises(k);
    if (world.is_ood(first) == world.is_ood(second)) visit(k, world.is_ood(first));
  }
}

/// Facts that follow from two ID atoms, by what is done with them, and from two OOD atoms.
struct Pools {
  Numbers trainable, held_out, ood;
};

Pools divide(const World& world, double share_held_out, std::uint64_t seed) {
  Pools pools;
  Numbers units;  // of ID facts, each by its first one
  for_each_unit(world, [&](std::int64_t k, bool is_ood) {
    const auto unit = world.unit(k);
    if (is_ood) {
      pools.ood.insert(pools.ood.end(), unit.begin(), unit.end());
    } else {
      units.push_back(k);
    }
  });
  const auto n = static_cast<std::int64_t>(units.size()), held_out = share_of(share_held_out, n);
  const auto order = random_permutation(n, RandomStream(seed, "held_out"));
  for (std::int64_t i = 0; i < n; ++i) {
    const auto unit = world.unit(units[at_index(order[at_index(i)])]);
    auto& pool = i < held_out ? pools.held_out : pools.trainable;
    pool.insert(pool.end(), unit.begin(), unit.end());
  }
  return pools;
}

}  // namespace

void FactOptions::declare(Schema& s) {
  s.add("task", task, "what is inferred from two atoms").one_of({"composition", "comparison"});
  s.add("entities", entities, "entities").at_least(2);
  s.add("relations", relations, "relations, or attributes of the comparison").at_least(1);
  s.add("out_degree", out_degree, "composition: atoms of each entity, by as many different relations").at_least(1);
  s.add("values", values, "comparison: values of each attribute").at_least(2);
  s.add("ood_share", ood_share, "share of the atoms that no trained inferred fact follows from").at_least(0).below(1);
  s.add("held_out", held_out, "share of the inferred facts of two ID atoms that is never trained").above(0).below(1);
  s.add("phi", phi, "inferred facts that train, for each ID atom").above(0);
  s.add("probes", probes, "largest number of examples in each test set").unit("example").at_least(1);
  s.add("end_token", end_token, "sequences end in </a>, which is learned too");
}

Vocabulary::Vocabulary(const FactOptions& o) {
  const auto asked = o.composes() ? o.entities : o.values + 3 * o.relations;
  end = o.end_token ? asked : kNone;
  answers = asked + (o.end_token ? 1 : 0);
  value = o.composes() ? kNone : 0;
  label = o.composes() ? kNone : o.values;
  entity = o.composes() ? 0 : answers;
  relation = o.composes() ? answers : answers + o.entities;
  size = relation + o.relations;
}

FactCounts count_facts(const FactOptions& o, std::uint64_t seed) {
  const auto world = make_world(o, seed);
  FactCounts counts;
  for (std::int64_t atom = 0; atom < o.atoms(); ++atom) counts.id_atoms += world->is_ood(atom) ? 0 : 1;
  std::int64_t units = 0;
  for_each_unit(*world, [&](std::int64_t, bool is_ood) { units += is_ood ? 0 : 1; });
  const auto held_out = share_of(o.held_out, units), size = o.composes() ? std::int64_t{1} : 2;
  counts.held_out = size * held_out;
  counts.trainable = size * (units - held_out);
  return counts;
}

void FactOptions::check(std::uint64_t seed, Problems& problems) const {
  const auto counts = count_facts(*this, seed);
  const auto wanted = share_of(phi, counts.id_atoms);
  if (counts.held_out == 0) {
    problems.add("data.held_out",
                 fmt::format("{} of {} inferred facts of two ID atoms leaves none to test", held_out, counts.trainable), "",
                 "use a larger share, a smaller data.ood_share or more data.entities");
  }
  if (wanted == 0) {
    problems.add("data.phi", fmt::format("{} leaves no inferred fact of {} ID atoms to train on", phi, counts.id_atoms), "",
                 "use a larger one");
  }
  if (wanted > counts.trainable) {
    const double largest = 100 * static_cast<double>(counts.trainable) / static_cast<double>(counts.id_atoms);
    problems.add("data.phi", fmt::format("{} asks for {} inferred facts to train", phi, wanted),
                 fmt::format("of two ID atoms only {} are not held out", counts.trainable),
                 fmt::format("use at most {:g}", std::floor(largest) / 100));
  }
}

Facts make_facts(const FactOptions& o, std::uint64_t seed) {
  const auto world = make_world(o, seed);
  const Vocabulary words(o);
  Rows id(o, words), ood(o, words);
  for (std::int64_t atom = 0; atom < o.atoms(); ++atom) world->write_atom(atom, world->is_ood(atom) ? ood : id);
  Facts facts{id.dataset(), ood.dataset(), {}, {}, {}};

  const auto pools = divide(*world, o.held_out, seed);
  const auto wanted = share_of(o.phi, facts.id_atoms.size()), there = static_cast<std::int64_t>(pools.trainable.size());
  require(wanted <= there, "more inferred facts are asked for than there are");
  facts.trained = some_inferred(*world, o, random_choice(pools.trainable, wanted, seed, "trained"));
  facts.id_test = some_inferred(*world, o, random_choice(pools.held_out, o.probes, seed, "id_test"));
  facts.ood_test = some_inferred(*world, o, random_choice(pools.ood, o.probes, seed, "ood_test"));
  facts.held_out = static_cast<std::int64_t>(pools.held_out.size());
  facts.id_inferred = there + facts.held_out;
  facts.ood_inferred = static_cast<std::int64_t>(pools.ood.size());
  return facts;
}

}  // namespace grokscope::wang
