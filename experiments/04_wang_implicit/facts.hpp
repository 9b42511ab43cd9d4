// Which facts are stated, and which follow from two of them?
// Atoms are stated, all of them in training. An inferred fact follows from two atoms. A random share of the atoms is out of
// distribution (OOD): inferred facts of two in-distribution (ID) atoms are trained, or held out as the ID test; those of two
// OOD atoms are never trained (the OOD test); those of one and one are left out.
//   composition  (h, r1, b), (b, r2, t)  =>  h r1 r2 -> t
//   comparison   (x, a, u), (y, a, v)    =>  a x y -> u < v, u = v or u > v, said in a's own words
// Wang et al. 2024, sections 3 and 4.
#pragma once

#include <optional>
#include <string>

#include "base/schema.hpp"
#include "data/dataset.hpp"

namespace grokscope::wang {

struct FactOptions {
  std::string task = "composition";
  std::int64_t entities = 2000;
  std::int64_t relations = 200;   ///< attributes of the comparison
  std::int64_t out_degree = 20;   ///< composition: atoms of each entity
  std::int64_t values = 20;       ///< comparison: of each attribute
  double ood_share = 0.05;
  double held_out = 0.005;
  double phi = 9;
  std::int64_t probes = 3000;
  bool end_token = true;
  void declare(Schema& s);
  /// Reports a phi that asks for more facts than there are, and splits that would be empty. Needs out_degree <= relations.
  void check(std::uint64_t seed, Problems& problems) const;
  bool composes() const { return task == "composition"; }
  std::int64_t atoms() const { return entities * (composes() ? out_degree : relations); }
};

/// Tokens by number: first the possible answers (entities, or values and then three labels an attribute), then </a> where
/// there is one, then the rest.
struct Vocabulary {
  explicit Vocabulary(const FactOptions& options);
  std::int64_t entity, relation, value, label;  ///< the first of each kind; kNone where the task has none
  std::int64_t end;                             ///< </a>, or kNone
  std::int64_t answers;                         ///< how many tokens may be asked for, </a> among them
  std::int64_t size;
  static constexpr std::int64_t kNone = -1;
};

/// Examples of one kind each, as sequences. An atom is written p1 p2 answer </a>, an inferred fact p1 p2 p3 answer </a>;
/// inputs are the first 4 tokens of these and targets [n, 3] what follows positions 1, 2, 3, where -1 is not asked for;
/// without an end token the first 3 and what follows positions 1 and 2. Ids of atoms are 0 .. atoms - 1, those of inferred
/// facts come behind.
struct Facts {
  Dataset id_atoms, ood_atoms;
  Dataset trained;   ///< inferred, phi for each ID atom
  Dataset id_test;   ///< inferred, `probes` of the held-out ones
  Dataset ood_test;  ///< inferred, `probes` of all
  std::int64_t id_inferred = 0;   ///< how many follow from two ID atoms
  std::int64_t held_out = 0;      ///< of those
  std::int64_t ood_inferred = 0;
};

/// How many facts there are of each kind that trains or tests.
struct FactCounts {
  std::int64_t id_atoms = 0;
  std::int64_t trainable = 0;  ///< inferred from two ID atoms and not held out: phi can ask for so many
  std::int64_t held_out = 0;
};

/// The counts of make_facts() with these options and this seed, without making them. Local; no memory to speak of.
FactCounts count_facts(const FactOptions& options, std::uint64_t seed);

/// Deterministic in options and seed, which must allow for phi (count_facts). Local; memory
/// 32 bytes an inferred fact of two ID atoms (composition 23 MB, comparison 520 MB at the paper's sizes).
Facts make_facts(const FactOptions& options, std::uint64_t seed);

}  // namespace grokscope::wang
