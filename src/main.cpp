// argv in, exit code out.
#include "experiments/all.hpp"
#include "commands/command_line.hpp"

int main(int argc, char** argv) {
  try {
    const auto experiments = grokscope::all_experiments();
    return grokscope::run_command_line(argc, argv, experiments);
  } catch (const std::exception& error) {
    return grokscope::report_failure(error);
  }
}
