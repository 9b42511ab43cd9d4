#include "train/options.hpp"

namespace grokscope {

BatchSize ConfigType<BatchSize>::parse(const Node& node) {
  if (node.is_scalar() && node.scalar == "full") return {};
  const auto examples = ConfigType<std::int64_t>::parse(node);
  if (examples < 1) throw ValueProblem(std::to_string(examples) + " is below 1", "", "write full or a number of examples");
  return {examples};
}

Node ConfigType<BatchSize>::format(const BatchSize& value) {
  return value.is_full() ? Node::plain("full") : ConfigType<std::int64_t>::format(value.examples);
}

void ParameterGroup::declare(Schema& s) {
  s.add("match", match, "part of the names of the parameters in this group").required();
  s.add("lr", lr, "their learning rate; none: training.lr");
  s.add("weight_decay", weight_decay, "their decay; none: training.weight_decay");
}

void StopRule::declare(Schema& s) {
  s.add("metric", metric, "which series decides").one_of({"train_loss", "test_loss", "train_acc", "test_acc"});
  s.add("above", above, "met when the series is at or above this");
  s.add("below", below, "met when the series is at or below this");
  s.add("after", after, "epochs to go on after it was first met").unit("epoch").at_least(0);
}

void TrainingOptions::declare(Schema& s) {
  s.add("epochs", epochs, "passes over the training set").unit("epoch").at_least(0);
  s.add("steps", steps, "optimizer steps, instead of epochs").unit("step").at_least(0);
  s.add("stop_when", stop_when, "end the run early");
  s.add("batch_size", batch_size, "examples in one step").unit("example");
  s.add("optimizer", optimizer, "update rule; adam's decay is L2 (coupled), adamw's is decoupled")
      .one_of({"sgd", "adam", "adamw"});
  s.add("lr", lr, "learning rate").at_least(0);
  s.add("weight_decay", weight_decay, "decay of all parameters").at_least(0);
  s.add("betas", betas, "Adam's two decay rates").length(2).at_least(0).below(1);
  s.add("eps", eps, "Adam's eps").above(0);
  s.add("momentum", momentum, "of sgd").at_least(0).below(1);
  s.add("warmup_steps", warmup_steps, "lr times min(step / warmup_steps, 1): the first update has lr 0")
      .unit("step").at_least(0);
  s.add("clip_norm", clip_norm, "largest norm of the gradient; none: no clipping").above(0);
  s.add("constrain_norm", constrain_norm, "initial: after every step all parameters are multiplied by one factor, so that "
        "their norm stays what it was at first").one_of({"none", "initial"});
  s.add("parameter_groups", parameter_groups, "parameters with rates of their own");
  s.add("init_from", init_from, "start at a checkpoint of another run instead of the model's initialisation");
  s.add("seed", seed, "of data, initialisation and order, unless they have their own").at_least(0);
  s.add("dtype", dtype, "type of parameters and activations").one_of({"float32", "float64"});
  s.add("loss_dtype", loss_dtype, "type in which the loss is computed").one_of({"same", "float32", "float64"});
  s.add("device", device, "where tensors live").one_of({"auto", "cpu", "cuda"});
  s.add("log_interval", log_interval, "one evaluation every so many epochs or steps").at_least(1);
  s.add("log_unit", log_unit, "what log_interval counts").one_of({"epoch", "step"});
  s.add("memorised_at", memorised_at, "training accuracy that counts as memorised (t_mem)").range(0, 1);
  s.add("generalised_at", generalised_at, "test accuracy that counts as generalised (t_gen)").range(0, 1);
}

}  // namespace grokscope
