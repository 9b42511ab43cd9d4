#include "run/options.hpp"

#include <algorithm>

#include "base/text.hpp"

namespace grokscope {

Numbers ConfigType<Numbers>::parse(const Node& node) {
  if (!node.is_list()) return {{ConfigType<double>::parse(node)}};
  Numbers numbers;
  for (const auto& item : node.items) numbers.values.push_back(ConfigType<double>::parse(item));
  return numbers;
}

Node ConfigType<Numbers>::format(const Numbers& value) {
  auto list = Node::list();
  for (const double number : value.values) list.items.push_back(ConfigType<double>::format(number));
  return list;
}

SeedNote ConfigType<SeedNote>::parse(const Node& node) {
  if (node.is_null()) return {};
  if (node.is_scalar()) return {node.scalar};
  std::vector<std::string> words;
  for (const auto& item : node.items) words.push_back(item.scalar);
  const bool has_only_scalars =
      std::all_of(node.items.begin(), node.items.end(), [](const Node& item) { return item.is_scalar(); });
  if (!node.is_list() || !has_only_scalars) {
    throw ValueProblem("expected a number, a text or a list of these, got " + name_of(node), "",
                       "write seeds: 3 or seeds: [0, 1, 2]");
  }
  return {join(words, ", ")};
}

void ExperimentOptions::declare(Schema& s) {
  s.add("name", name, "which experiment; grokscope list names them").required();
  s.add("paper_id", paper_id, "arXiv number, for your notes").not_scientific();
  s.add("description", description, "for your notes").not_scientific();
}

void LimitOptions::declare(Schema& s) {
  s.add("max_gop_size_gb", max_gop_size_gb, "refuse to store more than this at one moment, matrices and factors together").unit("GB").above(0).not_scientific();
  s.add("warn_if_exceeds_gb", warn_if_exceeds_gb, "warn when more than this is stored at one moment").unit("GB").above(0)
      .not_scientific();
  s.add("memory_per_rank_gb", memory_per_rank_gb, "what a distributed P x P matrix may take of a rank's memory; decides the side")
      .unit("GB").above(0);
  s.add("checkpoint_frequency", checkpoint_frequency, "epochs between commits").unit("epoch").at_least(1).not_scientific();
  s.add("checkpoint_after_s", checkpoint_after_s, "a run that has not committed for so long does at its next evaluation or "
                                                  "measurement, within an epoch too; 0: never").unit("s").at_least(0).not_scientific();
  s.add("checkpoint_epochs", checkpoint_epochs, "epochs that are committed whatever commits cost, as is the one where t_gen "
                                                "falls: what other runs start from").unit("epoch").at_least(1).not_scientific();
  s.add("max_silence_s", max_silence_s, "end the job when a rank shows no sign of life for so long; longer than the longest "
                                        "eigenvalue problem, 0: never").unit("s").at_least(0).not_scientific();
  s.add("keep_free_memory_gb", keep_free_memory_gb, "commit and stop when a rank's node has less memory left").unit("GB").at_least(0)
      .not_scientific();
  s.add("keep_free_disk_gb", keep_free_disk_gb, "commit and stop when the disk would have less left after the next commit")
      .unit("GB").at_least(0).not_scientific();
  s.add("threads_per_rank", threads_per_rank, "threads of LibTorch and BLAS in each rank").at_least(1).not_scientific();
}

void Crossing::declare(Schema& s) {
  s.add("above", above, "the first row at or above this");
  s.add("below", below, "the first row at or below this");
  s.add("unit", unit, "what is returned").one_of({"step", "epoch"});
}

void Bounds::declare(Schema& s) {
  s.add("above", above, "numbers greater than this");
  s.add("below", below, "numbers less than this");
}

void Expectation::declare(Schema& s) {
  s.add("quantity", quantity, "dataset in metrics.h5: test_loss, training/test_acc, events/t_gen; in a study members/NAME/ "
                              "and one of these, with * for all members").required();
  s.add("is", is, "how it must compare").one_of({"within", "below", "above", "never"});
  s.add("value", value, "[low, high] for within with rel_tol 0, else one number");
  s.add("rel_tol", rel_tol, "within: allowed relative difference from the one value").at_least(0);
  s.add("first", first, "compare the step or epoch at which the series first crosses a bound");
  s.add("at_step", at_step, "compare the series at the first row at or past this step").unit("step");
  s.add("at_first_of", at_first_of, "compare the series at the row where this event fell").one_of({"t_mem", "t_gen"});
  s.add("take", take, "what of a series is compared: last (default), max, min; over seeds: median (default), mean, min, "
                      "max, count (of seeds that have a value)").one_of({"last", "max", "min", "median", "mean", "count"});
  s.add("over", over, "one number of all seeds of a study's member, or of all its members (members/*/...), not one for each")
      .one_of({"seeds", "members"});
  s.add("each", each, "over seeds: what of each run's series is taken first: last (default), max, min; with take: max, "
                      "each: max is the largest value at any time in any run").one_of({"last", "max", "min"});
  s.add("where", where, "take: count: which numbers are counted; none: all that are there");
  s.add("missing", missing, "over seeds: one without a value leaves none for all, or (times: median, min, max) is later than all "
                            "others").one_of({"spoils", "never"});
  s.add("divided_by", divided_by, "another quantity, looked at in the same way; their ratio is compared, seed by seed");
  s.add("paper", paper, "what the paper says of this quantity, as the table of `reproduce` shows it");
  s.add("source", source, "where the claim stands: 'papers.md 03.4'");
  s.add("seeds", seeds, "how many seeds, or which, the value was seen on; shown beside the source");
  s.add("why", why, "the reason for a tolerance wider than the source's");
}

}  // namespace grokscope
