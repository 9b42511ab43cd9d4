// A rank, or a chunk of a pass, may hold one example or none: whether a factor is shared by all examples must
// not be read off the number of its rows.
#include <gtest/gtest.h>

#include "every_rank_test.hpp"
#include "gop/gop.hpp"
#include "gop/reference_metrics.hpp"
#include "gop/small_models.hpp"
#include "gradients/explicit_gradients.hpp"

namespace grokscope {
namespace {

class FewExamplesTest : public EveryRankTest {};

TEST_F(FewExamplesTest, RanksMayHoldOneExampleOrNone) {
  auto log = Log::silent();
  TimerTree timers;
  for (const std::int64_t n : {1, comm.size() - 1, comm.size(), comm.size() + 1}) {
    if (n < 1) continue;
    for (const auto& m : {small_transformer(n), small_power_mlp(n), small_mlp(n), small_linear(n, 7, 3)}) {
      const auto g = explicit_gradients(*m.model, *m.loss, m.inputs, m.targets);
      const auto expected = to_vector(reference_eigenvalues(g));
      for (const char* path : {"gram", "dense"}) {
        GopSettings settings;
        settings.path = path;
        GopMeter meter(comm, m.model->parameters.layers(), settings, log);
        const auto result = meter.measure(gradients_of(comm, m), {}, nullptr, timers, [] {});
        meter.release();
        ASSERT_EQ(static_cast<std::int64_t>(result.eigenvalues.size()), std::min(n, g.size(1)))
            << m.name << " " << path << ", N = " << n;
        for (std::size_t j = 0; j < result.eigenvalues.size(); ++j) {
          EXPECT_NEAR(result.eigenvalues[j], expected[j], 1e-10 * expected[0])
              << m.name << " " << path << ", N = " << n << ", eigenvalue " << j;
        }
      }
    }
  }
}

TEST_F(FewExamplesTest, AChunkOfOneJoinsTheOthers) {
  for (const auto& m : {small_transformer(6), small_power_mlp(6), small_mlp(6)}) {
    const auto whole = backward_pass(*m.model, *m.loss, m.inputs, m.targets, Taping::on).taps;
    const auto joined = concatenate_rows({slice_rows(whole, {0, 5}), slice_rows(whole, {5, 6})});
    EXPECT_EQ(joined.n, 6);
    for (std::size_t k = 0; k < whole.taps.size(); ++k) {
      for (std::size_t u = 0; u < whole.taps[k].uses.size(); ++u) {
        const auto &expected = whole.taps[k].uses[u].in, &in = joined.taps[k].uses[u].in;
        const auto where = m.name + " " + whole.taps[k].parameter;
        if (expected.index.defined()) {
          EXPECT_TRUE(in.index.equal(expected.index)) << where;
        }
        if (expected.values.defined()) {
          EXPECT_TRUE(in.values.equal(expected.values)) << where;
        }
      }
    }
  }
}

}  // namespace
}  // namespace grokscope
