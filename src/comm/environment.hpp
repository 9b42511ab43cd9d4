// How were we launched, and is that what the user meant?
// Owns MPI_Init and MPI_Finalize; the only place that names MPI_COMM_WORLD. Used by main and by the tests' main.
#pragma once

#include <string>
#include <vector>

#include "comm/communicator.hpp"

namespace grokscope {

/// Starts MPI (funnelled) and ends it. Finalises only when the scope is left without an exception in flight on a
/// subset of ranks: main calls abort() for those.
class MpiEnvironment {
 public:
  /// Throws EnvironmentError where MPI cannot start, or could only with files larger than `ulimit -f` allows.
  MpiEnvironment(int* argc, char*** argv);
  /// Ends MPI. Collective.
  void finalize();

  Communicator world() const { return Communicator::duplicate(MPI_COMM_WORLD); }

  /// Prints `message` with this rank's number and host and ends every rank.
  [[noreturn]] static void abort(const std::string& message, ExitCode code);
};

/// What the launcher says about itself, read from the environment; recorded in /provenance.
struct LaunchInfo {
  std::string launcher;  ///< "mpirun", "srun" or "none"
  int expected_ranks = 1;
  int rank = 0;          ///< as the launcher counts; for what must be said before MPI has started
  bool has_pmi = false;  ///< the launcher offers a way by which ranks find each other
  int cores_per_rank = 0;  ///< allowed by the affinity mask, 0 when unknown
  std::string host;
  std::vector<std::pair<std::string, std::string>> consulted;  ///< environment variables that were read, with values
};

LaunchInfo read_launch_info();

/// Refuses an srun that gives its tasks no PMI (EnvironmentError): Open MPI would end each of them within MPI_Init, where
/// nothing can be said any more. Called before MPI starts. Local.
void check_launcher(const LaunchInfo& info);

/// Refuses a launch that cannot be what was meant (EnvironmentError): srun started N tasks and each sees a communicator
/// of 1. Returns warnings about cores against threads. Local.
std::vector<std::string> check_launch(const LaunchInfo& info, int world_size, int threads_per_rank);

/// Number of processors this process may run on.
int allowed_cores();

}  // namespace grokscope
