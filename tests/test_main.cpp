// Runs the tests of one executable on every rank: rank 0 reports progress, the others only their failures; the result is
// agreed, so that a failure on any rank fails the entry on all. Zero tests run is a failure.
#include <gtest/gtest.h>

#include <cstdio>
#include <exception>

#include "comm/environment.hpp"

namespace {

class FailuresOnly : public testing::EmptyTestEventListener {
 public:
  explicit FailuresOnly(int rank) : rank_(rank) {}
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed()) return;
    std::printf("[rank %d] %s:%d\n%s\n", rank_, result.file_name() ? result.file_name() : "?", result.line_number(),
                result.message());
    std::fflush(stdout);
  }

 private:
  int rank_;
};

}  // namespace

int main(int argc, char** argv) {
  grokscope::MpiEnvironment mpi(&argc, &argv);
  testing::InitGoogleTest(&argc, argv);
  const auto world = mpi.world();
  if (!world.is_root()) {
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new FailuresOnly(world.rank()));
  }
  // An exception on one rank would leave the others waiting: end them all at once.
  GTEST_FLAG_SET(catch_exceptions, false);
  int status = 0;
  try {
    status = RUN_ALL_TESTS();
  } catch (const std::exception& error) {
    grokscope::MpiEnvironment::abort(error.what(), grokscope::ExitCode::internal);
  }
  const bool nothing_ran = testing::UnitTest::GetInstance()->test_to_run_count() == 0;
  if (nothing_ran && world.is_root()) std::printf("no test ran\n");
  const bool failed = world.any(status != 0 || nothing_ran);
  mpi.finalize();
  return failed ? 1 : 0;
}
