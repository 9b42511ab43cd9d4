#include "train/start_options.hpp"

namespace grokscope {

CheckpointChoice ConfigType<CheckpointChoice>::parse(const Node& node) {
  if (node.is_scalar() && node.scalar == "last") return {};
  if (node.is_scalar() && node.scalar == "t_gen") return {CheckpointChoice::Kind::t_gen, 0};
  const auto epoch = ConfigType<std::int64_t>::parse(node);
  if (epoch < 0)
    throw ValueProblem(std::to_string(epoch) + " is negative", "", "write an epoch, last or t_gen");
  return {CheckpointChoice::Kind::epoch, epoch};
}

Node ConfigType<CheckpointChoice>::format(const CheckpointChoice& value) {
  switch (value.kind) {
    case CheckpointChoice::Kind::epoch:
      return ConfigType<std::int64_t>::format(value.epoch);
    case CheckpointChoice::Kind::last:
      return Node::plain("last");
    case CheckpointChoice::Kind::t_gen:
      return Node::plain("t_gen");
  }
  throw InternalError("a checkpoint choice of no kind");
}

ParameterChoice ConfigType<ParameterChoice>::parse(const Node& node) {
  if (node.is_scalar() && node.scalar == "all") return {};
  if (!node.is_list() || node.items.empty())
    throw ValueProblem("expected all or names, got " + name_of(node));
  ParameterChoice choice;
  for (const auto& item : node.items) choice.names.push_back(ConfigType<std::string>::parse(item));
  return choice;
}

Node ConfigType<ParameterChoice>::format(const ParameterChoice& value) {
  if (value.is_all()) return Node::plain("all");
  Node list = Node::list();
  for (const auto& name : value.names) list.items.push_back(Node::string(name));
  return list;
}

void MaskOptions::declare(Schema& s) {
  s.add("epoch", epoch, "checkpoint of the other run whose magnitudes decide").unit("epoch");
  s.add("keep", keep, "share of the entries that is kept; the floor((1 - keep) n) smallest are dropped")
      .above(0)
      .at_most(1);
  s.add("scope", scope, "rank the entries of all parameters together, or of each parameter by itself")
      .one_of({"global", "parameter"});
  s.add(
       "kind", kind,
       "what is kept: the largest entries, or random ones (scope parameter: in each parameter as many as the "
       "global magnitude mask keeps there)")
      .one_of({"magnitude", "random"});
  s.add("parameters", parameters, "parameters that are masked; the others are kept whole");
  s.add("match_norm", match_norm,
        "l1, l2: mask nothing; scale the start to the norm that the masked one would have, as a "
        "whole (scope global) or each parameter by itself")
      .one_of({"none", "l1", "l2"});
  s.add("seed", seed, "of random masks; none: training.seed").at_least(0);
}

void StartOptions::declare(Schema& s) {
  s.add("run", run, "run directory that the parameters come from; in a study also member:NAME").required();
  s.add("epoch", epoch,
        "its checkpoint: 0 is its initialisation, t_gen the first epoch at or after the event")
      .unit("epoch");
  s.add("mask", mask,
        "entries that are zero at the start and stay zero; the GOP still is that of all parameters");
}

}  // namespace grokscope
