#include "comm/environment.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <optional>

namespace grokscope {
namespace {

std::optional<std::string> read_variable(LaunchInfo& info, const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  info.consulted.emplace_back(name, value);
  return value;
}

std::string host_name() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

/// Open MPI's ranks meet in files of 4 MB each; where those may not be made it ends the process without a reason.
void require_file_size_for_mpi() {
  constexpr rlim_t kLargestFile = 5'000'000;
  struct rlimit limit = {};
  if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur >= kLargestFile) return;
  throw EnvironmentError(fmt::format("files may have at most {:.1f} MB (MPI alone needs 5 for the space that ranks share), "
                                     "raise the limit with 'ulimit -f unlimited'", static_cast<double>(limit.rlim_cur) / 1e6));
}

int to_int(const std::string& text) { return std::atoi(text.c_str()); }

}  // namespace

MpiEnvironment::MpiEnvironment(int* argc, char*** argv) {
  // A write beyond `ulimit -f` shall fail like one on a full disk, with a message, and not end the process.
  std::signal(SIGXFSZ, SIG_IGN);
  require_file_size_for_mpi();
  int provided = 0;
  check_mpi(MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
  if (provided < MPI_THREAD_FUNNELED) throw EnvironmentError("this MPI offers no threads beside the main one (LibTorch "
                                                             "needs MPI_THREAD_FUNNELED), use another MPI build");
}

void MpiEnvironment::finalize() { check_mpi(MPI_Finalize(), "MPI_Finalize"); }

void MpiEnvironment::abort(const std::string& message, ExitCode code) {
  int rank = 0;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  std::fprintf(stderr, "grokscope: error on rank %d (%s): %s\n", rank, host_name().c_str(), message.c_str());
  std::fflush(stderr);
  MPI_Abort(MPI_COMM_WORLD, static_cast<int>(code));
  std::abort();
}

int allowed_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return 0;
  return CPU_COUNT(&set);
}

LaunchInfo read_launch_info() {
  LaunchInfo info;
  info.host = host_name();
  info.cores_per_rank = allowed_cores();
  info.launcher = "none";
  if (const auto tasks = read_variable(info, "SLURM_STEP_NUM_TASKS"); tasks && std::getenv("SLURM_PROCID")) {
    info.launcher = "srun";
    info.expected_ranks = to_int(*tasks);
    info.rank = to_int(std::getenv("SLURM_PROCID"));
  }
  info.has_pmi = std::getenv("PMIX_RANK") != nullptr || std::getenv("PMI_FD") != nullptr ||
                 std::getenv("PMI_RANK") != nullptr || std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr;
  if (const auto size = read_variable(info, "OMPI_COMM_WORLD_SIZE")) {
    if (info.launcher == "none") info.launcher = "mpirun";
    info.expected_ranks = to_int(*size);
    if (const char* rank = std::getenv("OMPI_COMM_WORLD_RANK")) info.rank = to_int(rank);
  } else if (const auto pmi = read_variable(info, "PMI_SIZE")) {
    info.launcher = info.launcher == "none" ? "mpirun" : info.launcher;
    info.expected_ranks = to_int(*pmi);
  }
  for (const char* name : {"SLURM_JOB_ID", "SLURM_ARRAY_TASK_ID", "SLURM_RESTART_COUNT", "SLURM_CPUS_PER_TASK",
                           "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENBLAS_CORETYPE", "CUDA_VISIBLE_DEVICES",
                           "HDF5_USE_FILE_LOCKING"}) {
    read_variable(info, name);
  }
  return info;
}

void check_launcher(const LaunchInfo& info) {
  if (info.launcher != "srun" || info.has_pmi) return;
  throw EnvironmentError(fmt::format("srun started {} task(s) without PMI (ranks could not find each other, and MPI_Init "
                                     "would end them), use 'srun --mpi=pmix' or start the job with mpirun",
                                     info.expected_ranks));
}

std::vector<std::string> check_launch(const LaunchInfo& info, int world_size, int threads_per_rank) {
  if (info.expected_ranks > 1 && world_size == 1) {
    throw EnvironmentError(fmt::format(
        "{} started {} tasks but each of them sees only itself (the launcher and this Open MPI do not speak the same "
        "PMI), use 'srun --mpi=pmix' or start the job with mpirun", info.launcher, info.expected_ranks));
  }
  std::vector<std::string> warnings;
  if (info.cores_per_rank > 0 && threads_per_rank > info.cores_per_rank) {
    warnings.push_back(fmt::format("{} threads on {} core(s) in each rank (they will fight), set "
                                   "computational_limits.threads_per_rank: {} or give the rank more cores",
                                   threads_per_rank, info.cores_per_rank, info.cores_per_rank));
  }
  return warnings;
}

}  // namespace grokscope
