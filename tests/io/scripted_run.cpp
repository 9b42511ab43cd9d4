// The executable that crash_campaign.py kills and failing_calls_test.py lets fail: scripted_run DIRECTORY EPOCHS. Commits as
// fast as it can.
#include "io/scripted_run.hpp"

#include <cstdlib>

#include "io/rank_program.hpp"

int main(int argc, char** argv) {
  using namespace grokscope;
  return run_on_ranks(argc, argv, [&](const Communicator& comm) {
    require(argc == 3, "usage: scripted_run DIRECTORY EPOCHS");
    auto directory = open_scripted(comm, argv[1]);
    auto log = Log::silent();
    Script script;
    script.epochs = std::atoll(argv[2]);
    script.commit_every = 2;
    auto options = scripted_options();
    options.panel_bytes *= 4;
    run_script(comm, directory, log, script, std::move(options));
    directory.close();
  });
}
