// How does a program that a test starts on several ranks begin and end? With MPI around it, and with an error as one line on
// stderr and its exit code.
#pragma once

#include <cstdio>
#include <functional>

#include "base/error.hpp"
#include "comm/environment.hpp"

namespace grokscope {

inline int run_on_ranks(int argc, char** argv, const std::function<void(const Communicator&)>& work) {
  MpiEnvironment mpi(&argc, &argv);
  auto comm = mpi.world();
  int status = 0;
  try {
    work(comm);
  } catch (const Error& error) {
    if (comm.is_root()) std::fprintf(stderr, "%s\n", error.what());
    status = static_cast<int>(error.code());
  }
  comm.free();
  mpi.finalize();
  return status;
}

}  // namespace grokscope
