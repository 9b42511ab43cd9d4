// The program: all experiments that grokscope has, one of our own, and a probe of our own for any of them.
#include "experiments/all.hpp"
#include "commands/command_line.hpp"

#include "class_gradients.hpp"
#include "parity.hpp"

int main(int argc, char** argv) {
  auto experiments = grokscope::all_experiments();
  experiments.push_back(eleventh::parity());
  const std::vector<grokscope::ProbeKind> probes{eleventh::class_gradients()};
  return grokscope::run_command_line(argc, argv, {experiments, probes});
}
