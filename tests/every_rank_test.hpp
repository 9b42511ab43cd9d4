// The communicator of all ranks that a test runs on, freed in time: the base of every fixture with ranks.
#pragma once

#include <gtest/gtest.h>

#include "comm/communicator.hpp"

namespace grokscope {

class EveryRankTest : public testing::Test {
 protected:
  void TearDown() override { comm.free(); }

  Communicator comm = Communicator::duplicate(MPI_COMM_WORLD);
};

}  // namespace grokscope
