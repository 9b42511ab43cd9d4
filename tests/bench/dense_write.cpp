// How close to the disk is the writing of a dense GOP that no rank can hold, and how close to dgemm is its forming?
//   mpirun -n 2 bench_dense_write FOLDER [--width 45056] [--repeats 5]
// In turn, each timed to the end of its sync, in one folder: a bare MPI-IO collective write of as many bytes, our matrix file
// with rows that cost nothing, and our matrix file with rows formed from the factors of 256 and of 512 examples. Each repeat, then
// medians and ratios of them. The README has the numbers.
#include <fmt/format.h>
#include <mpi.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <numeric>
#include <random>

#include "base/timer.hpp"
#include "comm/environment.hpp"
#include "gop/dense_rows.hpp"
#include "io/matrix_file.hpp"
#include "run/device.hpp"

namespace grokscope {
namespace {

namespace fs = std::filesystem;

struct Options {
  fs::path folder = ".";
  std::int64_t width = 45056;
  int repeats = 5;
  std::int64_t panel_bytes = 500'000'000;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// One layer of `width` parameters, [width / 256, 256], with random float32 factors.
GradientMatrix random_gradients(const Communicator& comm, const Options& o, std::int64_t examples) {
  const auto mine = even_share(examples, comm.size(), comm.rank());
  at::manual_seed(static_cast<std::uint64_t>(comm.rank()));
  Tap tap{"W", "layer", 0, o.width / 256, 256, false, {}};
  tap.uses.push_back({Factor::dense(at::randn({mine.size(), tap.rows})), Factor::dense(at::randn({mine.size(), tap.cols}))});
  return GradientMatrix(comm, Taps{mine.size(), {std::move(tap)}});
}

/// Fills with numbers that no disk can make smaller: some write zeros much faster.
void fill_with_noise(std::span<double> out) {
  constexpr std::size_t kPeriod = 1 << 20;
  std::mt19937_64 random(1);
  for (std::size_t k = 0; k < std::min(kPeriod, out.size()); ++k) out[k] = static_cast<double>(random()) * 0x1p-64;
  for (std::size_t k = kPeriod; k < out.size(); ++k) out[k] = out[k - kPeriod];
}

double bare_write(const Communicator& comm, const Options& o, const fs::path& path) {
  constexpr std::int64_t kPiece = 256'000'000;
  const auto row_bytes = o.width * 4;
  const auto rows = even_share(o.width, comm.size(), comm.rank());
  const auto height = std::max<std::int64_t>(1, kPiece / row_bytes);
  std::vector<double> piece(static_cast<std::size_t>(height * row_bytes / 8 + 1));
  fill_with_noise(piece);
  comm.barrier();
  const Stopwatch watch;
  MPI_File file = MPI_FILE_NULL;
  check_mpi(MPI_File_open(comm.get(), path.c_str(), MPI_MODE_CREATE | MPI_MODE_WRONLY, MPI_INFO_NULL, &file), "MPI_File_open");
  const auto rounds = (even_share(o.width, comm.size(), 0).size() + height - 1) / height;
  for (std::int64_t k = 0; k < rounds; ++k) {
    const auto begin = std::min(rows.begin + k * height, rows.end), end = std::min(begin + height, rows.end);
    check_mpi(MPI_File_write_at_all(file, begin * row_bytes, piece.data(), mpi_count((end - begin) * row_bytes), MPI_BYTE,
                                    MPI_STATUS_IGNORE), "MPI_File_write_at_all");
  }
  check_mpi(MPI_File_sync(file), "MPI_File_sync");
  check_mpi(MPI_File_close(&file), "MPI_File_close");
  return comm.max(watch.seconds());
}

double our_write(const Communicator& comm, const Options& o, const fs::path& path, const FillRows& fill) {
  const MatrixSpec spec{o.width, o.width, DType::float32, 0, {"gradient outer product", "1", "benchmark"}};
  comm.barrier();
  const Stopwatch watch;
  write_matrix_file(comm, path, "gop", spec, even_share(o.width, comm.size(), comm.rank()), o.panel_bytes, fill);
  comm.barrier();
  return comm.max(watch.seconds());
}

double dgemm_rate(const Communicator& comm) {
  const auto a = at::randn({1024, 1024}, at::kDouble);
  auto c = at::empty_like(a);
  std::vector<double> rates;
  for (int i = 0; i < 9; ++i) {
    comm.barrier();
    const Stopwatch watch;
    at::mm_out(c, a, a);
    rates.push_back(2 * std::pow(1024.0, 3) / watch.seconds());
  }
  return median(rates);
}

/// Forms and writes; returns the seconds of both together, and adds up those of the forming.
double formed_write(const Communicator& comm, const Options& o, const fs::path& path, const GradientMatrix& g, double& forming) {
  const IndexRange all{0, o.width};
  double spent = 0;
  const double seconds = our_write(comm, o, path, [&](IndexRange rows, std::span<double> out) {
    const Stopwatch watch;
    fill_dense_rows(g, {all, all}, rows, out);
    spent += watch.seconds();
  });
  forming = comm.max(spent);
  return seconds;
}

/// Seconds of every repeat.
struct Times {
  std::vector<double> bare, free_rows, dgemm_rates;
  std::map<std::int64_t, std::vector<double>> formed, forming;  ///< by the number of examples
};

void report(const Options& o, const Times& t, int ranks, double memory) {
  const double elements = static_cast<double>(o.width) * static_cast<double>(o.width), bytes = 4 * elements;
  const auto rate = [&](const std::vector<double>& s) { return bytes / median(s) / 1e6; };
  fmt::print("{:.2f} GB, P = {}, {} rank(s), medians of {} repeats, memory {:.2f} GB in all\n", bytes / 1e9, o.width, ranks,
             t.bare.size(), memory / 1e9);
  fmt::print("bare MPI-IO                  {:>6.0f} MB/s\n", rate(t.bare));
  fmt::print("matrix file                  {:>6.0f} MB/s = {:.2f} of bare (rows that cost nothing)\n", rate(t.free_rows),
             median(t.bare) / median(t.free_rows));
  for (const auto& [examples, seconds] : t.formed) {
    const auto& forming = t.forming.at(examples);
    const double flops = 2 * static_cast<double>(examples) * elements / median(forming);
    fmt::print("formed and written, N = {:4} {:>6.0f} MB/s = {:.2f} of bare, {:.2f} of forming alone, which gives {:.0f} MB/s: "
               "{:.1f} GFLOP/s = {:.2f} of dgemm\n",
               examples, rate(seconds), median(t.bare) / median(seconds), median(forming) / median(seconds), rate(forming), flops / 1e9,
               flops / median(t.dgemm_rates));
  }
}

void run(const Communicator& comm, const Options& o) {
  const auto path = o.folder / "bench_dense_write.h5";
  const auto cleaned = [&](double seconds) {
    comm.on_root([&] { fs::remove(path); });
    return seconds;
  };
  Times t;
  for (int r = 0; r < o.repeats; ++r) {
    t.bare.push_back(cleaned(bare_write(comm, o, path)));
    t.free_rows.push_back(cleaned(our_write(comm, o, path, [](IndexRange, std::span<double> out) {
      if (!out.empty() && out.back() == 0) fill_with_noise(out);  // once: the buffer stays
    })));
    t.dgemm_rates.push_back(dgemm_rate(comm) * comm.size());
    if (comm.is_root()) fmt::print("repeat {}: bare {:.1f} s, matrix file {:.1f} s", r, t.bare.back(), t.free_rows.back());
    for (const std::int64_t examples : {256, 512}) {
      double forming = 0;
      t.formed[examples].push_back(cleaned(formed_write(comm, o, path, random_gradients(comm, o, examples), forming)));
      t.forming[examples].push_back(forming);
      if (comm.is_root()) fmt::print(", N = {}: {:.1f} s, forming {:.1f} s", examples, t.formed[examples].back(), forming);
    }
    if (comm.is_root()) fmt::print(", dgemm {:.1f} GFLOP/s\n", t.dgemm_rates.back() / 1e9);
    std::fflush(stdout);
  }
  double memory = peak_memory_bytes();
  comm.sum_in_rank_order({&memory, 1});
  if (comm.is_root()) report(o, t, comm.size(), memory);
}

}  // namespace
}  // namespace grokscope

int main(int argc, char** argv) {
  using namespace grokscope;
  MpiEnvironment mpi(&argc, &argv);
  set_threads(1);
  Options options;
  for (int i = 1; i < argc; ++i) {
    const auto value = [&] { return i + 1 < argc ? std::atoll(argv[++i]) : 0; };
    if (std::strcmp(argv[i], "--width") == 0) options.width = value() / 256 * 256;
    else if (std::strcmp(argv[i], "--repeats") == 0) options.repeats = static_cast<int>(value());
    else options.folder = argv[i];
  }
  auto world = mpi.world();
  run(world, options);
  world.free();
  mpi.finalize();
  return 0;
}
