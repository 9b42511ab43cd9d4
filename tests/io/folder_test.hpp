// All ranks and a folder that they share: the base of every fixture that touches the disk.
#pragma once

#include "every_rank_test.hpp"
#include "io/temporary_folder.hpp"

namespace grokscope {

class FolderTest : public EveryRankTest {
 protected:
  void TearDown() override {
    folder.remove(comm);
    EveryRankTest::TearDown();
  }

  TemporaryFolder folder{comm};
};

}  // namespace grokscope
