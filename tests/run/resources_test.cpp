// How much memory and disk does it find, with the files of every kind of cgroup?
#include "run/resources.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <limits>

#include "io/folder_test.hpp"

namespace grokscope {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

class ResourcesTest : public FolderTest {
 protected:
  void write(const std::string& name, const std::string& text) {
    const auto path = folder.path() / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  double available() { return available_memory_bytes(folder.path()); }
};

TEST_F(ResourcesTest, NothingKnownIsNoLimit) { EXPECT_EQ(available(), kInfinite); }

TEST_F(ResourcesTest, TheNodeWithoutCgroups) {
  write("proc/meminfo", "MemTotal:       16000 kB\nMemFree:          500 kB\nMemAvailable:    2000 kB\n");
  EXPECT_EQ(available(), 2000 * 1024);
}

TEST_F(ResourcesTest, TheTightestCgroupOfVersion2) {
  write("proc/meminfo", "MemAvailable:    2000 kB\n");
  write("proc/self/cgroup", "0::/slurm/job_7/step_0\n");
  write("sys/fs/cgroup/slurm/job_7/memory.max", "1000000\n");
  write("sys/fs/cgroup/slurm/job_7/memory.current", "900000\n");
  write("sys/fs/cgroup/slurm/job_7/memory.stat", "anon 500000\nfile 150000\ninactive_file 30000\nactive_file 20000\n");
  write("sys/fs/cgroup/slurm/job_7/step_0/memory.max", "max\n");
  write("sys/fs/cgroup/slurm/job_7/step_0/memory.current", "800000\n");
  EXPECT_EQ(available(), 150000) << "what the job's limit leaves, with the files that can be dropped";
  write("sys/fs/cgroup/slurm/job_7/step_0/memory.max", "810000\n");
  EXPECT_EQ(available(), 10000);
}

TEST_F(ResourcesTest, ACgroupOfVersion1) {
  write("proc/meminfo", "MemAvailable:    2000 kB\n");
  write("proc/self/cgroup", "9:cpu,cpuacct:/elsewhere\n7:memory:/slurm/job_7\n");
  write("sys/fs/cgroup/memory/slurm/job_7/memory.limit_in_bytes", "1000000\n");
  write("sys/fs/cgroup/memory/slurm/job_7/memory.usage_in_bytes", "700000\n");
  write("sys/fs/cgroup/memory/slurm/job_7/memory.stat", "inactive_file 1\ntotal_inactive_file 50000\n");
  EXPECT_EQ(available(), 350000);
}

TEST_F(ResourcesTest, ThisMachineHasMemoryAndDisk) {
  EXPECT_GT(available_memory_bytes(), 0);
  EXPECT_GT(available_disk_bytes(folder.path()), 0);
}

TEST_F(ResourcesTest, BytesOfAFolder) {
  EXPECT_EQ(used_disk_bytes(folder.path()), 0);
  write("a/b/c", std::string(1000, 'x'));
  write("a/d", std::string(234, 'x'));
  EXPECT_EQ(used_disk_bytes(folder.path()), 1234);
  EXPECT_EQ(used_disk_bytes(folder.path() / "nowhere"), 0);
}

}  // namespace
}  // namespace grokscope
