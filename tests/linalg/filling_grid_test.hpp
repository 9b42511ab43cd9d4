// All ranks on the grid that fills: the base of the fixtures that solve.
#pragma once

#include "every_rank_test.hpp"
#include "linalg/process_grid.hpp"

namespace grokscope {

class FillingGridTest : public EveryRankTest {
 protected:
  void TearDown() override {
    grid.release();
    EveryRankTest::TearDown();
  }

  ProcessGrid grid{comm, filling_shape(comm.size())};
};

}  // namespace grokscope
