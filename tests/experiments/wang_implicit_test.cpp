// Paper 04: the facts, looked up again in the atoms alone; what is asked for; the paper's sizes; the probes.
#include "experiments/04_wang_implicit/experiment.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>

#include "config/assign.hpp"
#include "config/document.hpp"
#include "experiments/04_wang_implicit/facts.hpp"
#include "nn/pass.hpp"
#include "nn/transformer.hpp"

namespace grokscope {
namespace {

using wang::FactOptions;
using wang::Facts;
using wang::Vocabulary;
using Row = std::vector<std::int64_t>;
using Lookup = std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t>;  ///< two tokens to the third

std::vector<Row> rows_of(const at::Tensor& table) {
  const auto values = table.contiguous();
  std::vector<Row> rows;
  for (std::int64_t i = 0; i < table.size(0); ++i) {
    const auto* row = values.data_ptr<std::int64_t>() + i * table.size(1);
    rows.emplace_back(row, row + table.size(1));
  }
  return rows;
}

Lookup lookup(const Dataset& atoms) {
  Lookup table;
  for (const auto& row : rows_of(atoms.inputs)) EXPECT_TRUE(table.insert({{row[0], row[1]}, row[2]}).second);
  return table;
}

void expect_disjoint(const std::vector<const Dataset*>& sets) {
  std::set<std::int64_t> ids;
  std::set<Row> prompts;
  std::size_t n = 0;
  for (const auto* set : sets) {
    n += static_cast<std::size_t>(set->size());
    const auto inputs = rows_of(set->inputs);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      ids.insert(set->ids[static_cast<std::int64_t>(i)].item<std::int64_t>());
      prompts.insert({inputs[i][0], inputs[i][1], inputs[i][2]});
    }
  }
  EXPECT_EQ(ids.size(), n);
  EXPECT_EQ(prompts.size(), n);  // an atom's third token is its answer, an inferred fact's a relation or another entity
}

/// Every fact of `set` follows from two atoms of `atoms`.
void expect_composed(const Dataset& set, const Lookup& atoms) {
  const auto inputs = rows_of(set.inputs), targets = rows_of(set.targets);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto first = atoms.find({inputs[i][0], inputs[i][1]});
    ASSERT_NE(first, atoms.end());
    const auto second = atoms.find({first->second, inputs[i][2]});
    ASSERT_NE(second, atoms.end());
    EXPECT_EQ(targets[i][1], second->second);
  }
}

std::int64_t compositions(const Lookup& first, const Lookup& second) {
  std::map<std::int64_t, std::int64_t> out_degree;
  for (const auto& [from, to] : second) ++out_degree[from.first];
  std::int64_t n = 0;
  for (const auto& [from, to] : first) n += out_degree.count(to) ? out_degree[to] : 0;
  return n;
}

class PaperFacts : public testing::Test {
 protected:
  static void SetUpTestSuite() { facts = new Facts(wang::make_facts(FactOptions{}, 3)); }
  static void TearDownTestSuite() { delete facts; }
  static Facts* facts;
};
Facts* PaperFacts::facts = nullptr;

TEST_F(PaperFacts, HaveThePapersCounts) {
  EXPECT_EQ(facts->id_atoms.size(), 38000);
  EXPECT_EQ(facts->ood_atoms.size(), 2000);
  EXPECT_EQ(facts->trained.size(), 342000);  // phi 9
  EXPECT_EQ(facts->id_test.size(), 3000);
  const auto id = lookup(facts->id_atoms), ood = lookup(facts->ood_atoms);
  EXPECT_EQ(facts->id_inferred, compositions(id, id));
  EXPECT_EQ(facts->ood_inferred, compositions(ood, ood));
  EXPECT_EQ(facts->ood_test.size(), std::min<std::int64_t>(3000, facts->ood_inferred));
  EXPECT_EQ(facts->id_inferred + facts->ood_inferred + compositions(id, ood) + compositions(ood, id), 800000);
  EXPECT_NEAR(static_cast<double>(facts->id_inferred), 722000, 1500);  // .95^2 of them
  EXPECT_NEAR(static_cast<double>(facts->held_out), .005 * static_cast<double>(facts->id_inferred), .51);
}

TEST_F(PaperFacts, EveryEntityHasTwentyDifferentRelations) {
  std::map<std::int64_t, std::int64_t> degree, met;
  for (const auto* atoms : {&facts->id_atoms, &facts->ood_atoms}) {
    for (const auto& [from, to] : lookup(*atoms)) {
      ++degree[from.first];
      ++met[to];
      EXPECT_TRUE(from.second >= 2001 && from.second < 2201 && to >= 0 && to < 2000);
    }
  }
  EXPECT_EQ(degree.size(), 2000u);
  for (const auto& [h, n] : degree) EXPECT_EQ(n, 20) << h;
  EXPECT_GT(met.size(), 1990u);  // tails are drawn from all entities
}

TEST_F(PaperFacts, FollowFromAtomsOfTheirKindAndAreInOneSetOnly) {
  const auto id = lookup(facts->id_atoms), ood = lookup(facts->ood_atoms);
  expect_composed(facts->trained, id);
  expect_composed(facts->id_test, id);
  expect_composed(facts->ood_test, ood);
  expect_disjoint({&facts->id_atoms, &facts->ood_atoms, &facts->trained, &facts->id_test, &facts->ood_test});
}

TEST_F(PaperFacts, OnlyAnswersAndEndsAreAskedFor) {
  constexpr std::int64_t kEnd = 2000;
  for (const auto* atoms : {&facts->id_atoms, &facts->ood_atoms}) {
    const auto answers = atoms->inputs.select(1, 2);
    EXPECT_TRUE(atoms->inputs.select(1, 3).eq(kEnd).all().item<bool>());
    EXPECT_TRUE(atoms->targets.equal(at::stack({answers, at::full_like(answers, kEnd), at::full_like(answers, -1)}, 1)));
  }
  for (const auto* set : {&facts->trained, &facts->id_test, &facts->ood_test}) {
    const auto answers = set->inputs.select(1, 3);
    EXPECT_TRUE(set->targets.equal(at::stack({at::full_like(answers, -1), answers, at::full_like(answers, kEnd)}, 1)));
  }
}

FactOptions miniature() {
  FactOptions o;
  o.entities = 50;
  o.relations = 20;
  o.ood_share = .1;
  o.held_out = .125;
  o.end_token = false;
  return o;
}

TEST(Miniature, AsksForTheAnswerAlone) {
  const auto o = miniature();
  const auto facts = wang::make_facts(o, 0);
  EXPECT_EQ(facts.id_atoms.size() + facts.ood_atoms.size(), 1000);
  EXPECT_EQ(facts.trained.size(), 8100);
  EXPECT_EQ(Vocabulary(o).size, 70);
  EXPECT_EQ(Vocabulary(o).answers, 50);
  const auto answers = facts.id_atoms.inputs.select(1, 2);
  EXPECT_TRUE(facts.id_atoms.targets.equal(at::stack({answers, at::full_like(answers, -1)}, 1)));
  EXPECT_TRUE(facts.trained.targets.select(1, 0).eq(-1).all().item<bool>());
  const auto id = lookup(facts.id_atoms);
  expect_composed(facts.trained, id);
  expect_composed(facts.id_test, id);
  expect_composed(facts.ood_test, lookup(facts.ood_atoms));
  EXPECT_EQ(facts.ood_test.size(), facts.ood_inferred);
}

TEST(Miniature, IsDrawnBySeed) {
  const auto o = miniature();
  EXPECT_TRUE(wang::make_facts(o, 1).trained.inputs.equal(wang::make_facts(o, 1).trained.inputs));
  EXPECT_FALSE(wang::make_facts(o, 1).trained.inputs.equal(wang::make_facts(o, 2).trained.inputs));
  EXPECT_FALSE(wang::make_facts(o, 1).id_atoms.inputs.equal(wang::make_facts(o, 2).id_atoms.inputs));
}

/// What is wrong with the miniature once `change` has been made, "" for nothing.
std::string refusal(const std::function<void(FactOptions&)>& change) {
  auto o = miniature();
  change(o);
  Problems problems;
  o.check(0, problems);
  return problems.empty() ? "" : problems.all().front().text();
}

TEST(Miniature, FactsThatAreNotThereAndEmptySplitsAreRefused) {
  const auto expect = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  EXPECT_EQ(refusal([](FactOptions&) {}), "");
  expect(refusal([](FactOptions& o) { o.phi = 17; }), "data.phi: 17 asks for 15300 inferred facts to train (of two ID atoms only");
  expect(refusal([](FactOptions& o) { o.phi = 5e-4; }), "data.phi: 0.0005 leaves no inferred fact of 900 ID atoms");
  expect(refusal([](FactOptions& o) { o.held_out = 1e-5; }), "leaves none to test");
}

TEST(Miniature, ThereIsAsMuchToTrainOnAsIsSaid) {
  for (const bool composes : {true, false}) {
    auto o = miniature();
    o.task = composes ? "composition" : "comparison";
    const auto counts = wang::count_facts(o, 5);
    o.phi = static_cast<double>(counts.trainable) / static_cast<double>(counts.id_atoms);
    const auto facts = wang::make_facts(o, 5);
    EXPECT_EQ(facts.id_atoms.size(), counts.id_atoms);
    EXPECT_EQ(facts.trained.size(), counts.trainable);
    EXPECT_EQ(facts.held_out, counts.held_out);
    o.phi *= 1.001;
    Problems problems;
    o.check(5, problems);
    EXPECT_FALSE(problems.empty());
  }
}

FactOptions comparison() {
  FactOptions o;
  o.task = "comparison";
  o.entities = 1000;
  o.relations = 20;
  o.ood_share = .1;
  o.held_out = .1;
  o.phi = 3.6;
  return o;
}

TEST(ComparisonFacts, HaveThePapersCounts) {
  const auto facts = wang::make_facts(comparison(), 3);
  EXPECT_EQ(facts.id_atoms.size(), 18000);
  EXPECT_EQ(facts.ood_atoms.size(), 2000);
  EXPECT_EQ(facts.id_inferred, 20 * 900 * 899);  // both orders
  EXPECT_EQ(facts.held_out, 20 * 90 * 899);
  EXPECT_EQ(facts.ood_inferred, 20 * 100 * 99);
  EXPECT_EQ(facts.trained.size(), 64800);
  EXPECT_EQ(facts.id_test.size(), 3000);
  EXPECT_EQ(facts.ood_test.size(), 3000);
  expect_disjoint({&facts.id_atoms, &facts.ood_atoms, &facts.trained, &facts.id_test, &facts.ood_test});
}

/// Labels are looked up again; a pair is never trained in one order and tested in the other.
TEST(ComparisonFacts, FollowFromTheValuesOfAtomsOfTheirKind) {
  auto o = comparison();
  o.entities = 40;
  o.relations = 3;
  o.values = 5;
  o.phi = 20;
  const auto facts = wang::make_facts(o, 1);
  const Vocabulary words(o);
  EXPECT_EQ(words.size, 5 + 9 + 1 + 40 + 3);
  std::set<std::set<std::int64_t>> trained, tested;
  const auto check = [&](const Dataset& set, const Lookup& atoms, std::set<std::set<std::int64_t>>& pairs) {
    for (const auto& row : rows_of(set.inputs)) {
      const auto a = row[0], x = row[1], y = row[2];
      EXPECT_NE(x, y);
      const auto u = atoms.at({x, a}), v = atoms.at({y, a});  // throws where an atom is of the other kind
      EXPECT_EQ(row[3], 5 + 3 * (a - words.relation) + (u < v ? 0 : u == v ? 1 : 2));
      pairs.insert({a, x, y});
    }
  };
  const auto id = lookup(facts.id_atoms);
  check(facts.trained, id, trained);
  check(facts.id_test, id, tested);
  for (const auto& pair : tested) EXPECT_EQ(trained.count(pair), 0u);
  EXPECT_EQ(facts.id_test.size(), facts.held_out);
  EXPECT_EQ(tested.size() * 2, static_cast<std::size_t>(facts.held_out));  // both orders
  check(facts.ood_test, lookup(facts.ood_atoms), tested);
  EXPECT_EQ(facts.id_atoms.size(), 108);
}

std::unique_ptr<Task> task_of(const std::string& yaml) {
  auto task = wang_implicit().make();
  Schemas schemas;
  task->declare(schemas);
  assign(parse_document(yaml, "test.yaml"), schemas);
  return task;
}

TEST(WangImplicit, ModelsAreThePapersAndItsMiniature) {
  const auto parameters = [](const std::string& yaml) {
    const auto task = task_of(yaml);
    task->build_model({});
    return task->model().parameters.total();
  };
  EXPECT_EQ(parameters("model: {vocabulary: 2208}"), 58407936);
  EXPECT_EQ(parameters("{data: {entities: 50, relations: 20, end_token: false}, model: {blocks: 2, d_model: 128, heads: 4, "
                       "d_mlp: 512, position_rows: 0, outputs: answers}}"), 406144);
}

constexpr const char* kSmall =
    "{data: {entities: 12, relations: 6, out_degree: 5, ood_share: 0.2, held_out: 0.1, phi: 2, probes: 30}, "
    "model: {blocks: 2, d_model: 8, heads: 2, d_mlp: 12, dropout: 0.2}}";

TEST(WangImplicit, TrainsEveryAtomAndTestsWhatIsHeldOut) {
  const auto task = task_of(kSmall);
  task->build_data({});
  task->build_model({});
  EXPECT_TRUE(task->is_stochastic());
  const auto& train = task->data().train;
  EXPECT_EQ(train.size(), 60 + 2 * 48);
  EXPECT_EQ(train.ids.lt(60).sum().item<std::int64_t>(), 60);
  EXPECT_EQ(std::get<0>(at::_unique2(train.ids)).size(0), train.size());
  EXPECT_TRUE(task->data().test.ids.ge(60).all().item<bool>());
}

/// Each probe's accuracy is that of its rows, however many processes share them, also when data come from a data.h5.
TEST(WangImplicit, ObservesTheAccuracyOfItsProbes) {
  auto comm = Communicator::duplicate(MPI_COMM_WORLD);
  const auto task = task_of(kSmall), restored = task_of(kSmall);
  task->build_data({});
  auto arrays = task->data().train.arrays("train");
  for (const auto& part : {task->data().test.arrays("test"), task->extra_data()}) {
    arrays.insert(arrays.end(), part.begin(), part.end());
  }
  restored->restore_data(arrays);
  for (auto* t : {task.get(), restored.get()}) {
    t->build_model({});
    auto flat = t->model().parameters.flat();
    t->model().parameters.set_flat(normal_init({flat.numel()}, .5, 1, "weights"));
    Record record;
    t->observe({}, Spread(comm), record);
    for (const std::string name : {"id_atom", "ood_atom", "trained", "ood"}) {
      const auto inputs = to_tensor(find_array(arrays, "probes/" + name + "/inputs"));
      const auto targets = to_tensor(find_array(arrays, "probes/" + name + "/targets"));
      auto tape = Tape::inactive();
      const auto z = t->model().forward(inputs, tape).argmax(2);
      const auto right = z.eq(targets).logical_or(targets.eq(-1)).all(1).to(at::kDouble).mean().item<double>();
      EXPECT_DOUBLE_EQ(record.value_of("observables/" + name + "_accuracy"), right) << name;
      EXPECT_GT(inputs.size(0), 1);
      EXPECT_LE(inputs.size(0), 30);
    }
  }
  comm.free();
}

}  // namespace
}  // namespace grokscope
