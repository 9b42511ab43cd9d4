// The executable that faults_test.py runs and lets fail: matrix_writer FILE ROWS COLS ROWS_A_PANEL GZIP_LEVEL PAUSE_MS.
// Writes a matrix whose element (i, j) is i + j / 4096, or takes one up, verifies it, and says how many rows it formed. Forming a
// panel takes PAUSE_MS, in which the panels before reach the disk.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "io/matrix_file.hpp"
#include "io/rank_program.hpp"

namespace grokscope {
namespace {

void run(const Communicator& comm, char** argument) {
  MatrixSpec spec{std::atoll(argument[2]), std::atoll(argument[3]), DType::float64, std::atoi(argument[5]),
                  {"a matrix", "1", "row + column / 4096"}};
  spec.identity = 42;
  double formed = 0;
  const auto fill = [&](IndexRange rows, std::span<double> out) {
    formed += static_cast<double>(rows.size());
    std::this_thread::sleep_for(std::chrono::milliseconds(std::atoi(argument[6])));
    for (std::size_t k = 0; k < out.size(); ++k) {
      const auto place = static_cast<std::int64_t>(k);
      out[k] = static_cast<double>(rows.begin + place / spec.cols) + static_cast<double>(place % spec.cols) / 4096;
    }
  };
  const auto panel_bytes = std::atoll(argument[4]) * spec.cols * 8;
  const auto file = write_matrix_file(comm, argument[1], "gop", spec, even_share(spec.rows, comm.size(), comm.rank()),
                                      panel_bytes, fill);
  comm.on_root([&] { verify_matrix_file(argument[1], file); });
  comm.sum_in_rank_order({&formed, 1});
  if (comm.is_root()) std::printf("formed %.0f\n", formed);
}

}  // namespace
}  // namespace grokscope

int main(int argc, char** argv) {
  using namespace grokscope;
  if (argc != 7) return 2;
  return run_on_ranks(argc, argv, [&](const Communicator& comm) { run(comm, argv); });
}
