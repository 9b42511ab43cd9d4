// The executable that crash_campaign.py kills and failing_calls_test.py lets fail: scripted_run DIRECTORY EPOCHS. Commits as
// fast as it can.
#include "io/scripted_run.hpp"

#include <cstdio>
#include <cstdlib>

#include "comm/environment.hpp"

int main(int argc, char** argv) {
  using namespace grokscope;
  MpiEnvironment mpi(&argc, &argv);
  auto comm = mpi.world();
  int status = 0;
  try {
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
  } catch (const Error& error) {
    if (comm.is_root()) std::fprintf(stderr, "%s\n", error.what());
    status = static_cast<int>(error.code());
  }
  comm.free();
  mpi.finalize();
  return status;
}
