#include "run/provenance.hpp"

#include <ATen/Version.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <hdf5.h>

#include <cstdio>
#include <ctime>
#include <set>

#include "base/text.hpp"
#include "run/build_info.hpp"
#include "run/built_from.hpp"
#include "run/device.hpp"

namespace grokscope {
namespace {

/// First lines of a shell command's output, "" when it fails.
std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = ::popen(("( " + command + " ) 2>/dev/null").c_str(), "r");
  if (pipe == nullptr) return text;
  char buffer[4096];
  while (std::fgets(buffer, sizeof buffer, pipe) != nullptr && text.size() < 100'000) text += buffer;
  ::pclose(pipe);
  return std::string(trim(text));
}

/// git_commit and git_diff of what was built, as built_from.cmake found it. Of the differences a binary knows the hash alone:
/// their text is that of the sources as long as these have not changed, else git_tree says how they have.
Attributes sources() {
  const auto git = fmt::format("git -C '{}' ", kSourceFolder);
  const auto diff = git + "diff --no-ext-diff --no-color HEAD -- CMakeLists.txt src experiments";
  const auto commit = output_of(git + "ls-files --error-unmatch CMakeLists.txt >&2 && " + git + "rev-parse HEAD");
  const auto text = output_of(diff);
  const auto changes = text.empty() ? std::string() : output_of(diff + " | git hash-object --stdin");
  const std::string built = kChanges;
  if (commit == kCommit && changes == built) return {{"git_commit", commit}, {"git_diff", text}};
  Attributes facts{{"git_commit", std::string(kCommit)},
                   {"git_diff", built.empty() ? "" : "not kept: the sources are no longer those (hash " + built + ")"}};
  if (!commit.empty()) {
    const auto and_changes = changes.empty() ? "" : " with changes " + changes;
    facts.emplace_back("git_tree", fmt::format("not what was built: {}{}", commit, and_changes));
  }
  return facts;
}

std::string hdf5_version() {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return fmt::format("{}.{}.{}", major, minor, release);
}

std::string mpi_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  MPI_Get_library_version(text, &length);
  return std::string(trim(std::string(text).substr(0, std::string(text).find(','))));
}

std::string hosts_of(const Communicator& comm, const std::string& host) {
  const auto line = host + "\n";
  const auto all = comm.all_gather_uneven<std::uint8_t>({reinterpret_cast<const std::uint8_t*>(line.data()), line.size()});
  const auto lines = split(std::string(all.begin(), all.end()), '\n');
  const std::set<std::string> hosts(lines.begin(), lines.end() - 1);
  return fmt::format("{}", fmt::join(hosts, " "));
}

}  // namespace

Attributes provenance(const Communicator& comm, const LaunchInfo& launch, const std::vector<std::string>& arguments) {
  const auto hosts = hosts_of(comm, launch.host);
  if (!comm.is_root()) return {};
  Attributes facts{
      {"time", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)))},
      {"arguments", join(arguments, " ")},
      {"ranks", static_cast<std::int64_t>(comm.size())},
      {"hosts", hosts},
      {"launcher", launch.launcher},
      {"cpu", cpu_model()},
      {"blas", blas_description()},
      {"versions", version_text()},
  };
  for (auto& fact : sources()) facts.push_back(std::move(fact));
  std::string environment;
  for (const auto& [name, value] : launch.consulted) environment += fmt::format("{}={}\n", name, value);
  facts.emplace_back("environment", environment);
  return facts;
}

std::vector<std::string> launch_differences(const Attributes& before, const Attributes& now) {
  const auto text = [](const Attribute* value) {
    if (value == nullptr) return std::string("unknown");
    if (const auto* number = std::get_if<std::int64_t>(value)) return fmt::format("{}", *number);
    const auto* words = std::get_if<std::string>(value);
    return words == nullptr ? std::string("unknown") : join(split(*words, '\n'), ", ");
  };
  std::vector<std::string> differences;
  for (const char* name : {"ranks", "cpu", "blas", "versions"}) {
    const auto old_text = text(find_attribute(before, name)), new_text = text(find_attribute(now, name));
    if (old_text != new_text) differences.push_back(fmt::format("{} {} -> {}", name, old_text, new_text));
  }
  return differences;
}

std::string version_text() {
  const auto commit = std::string(kCommit) + (*kChanges == 0 ? "" : ", with changes");
  return fmt::format("grokscope {} ({}, {})\ncommit {}\nLibTorch {}\nHDF5 {}\nMPI {}\nBLAS {}\nELPA {}\nScaLAPACK {}",
                     kVersion, kBuildType, kCompiler, commit, kTorchVersion, hdf5_version(), mpi_version(), blas_description(),
                     kElpaVersion, kScalapackVersion);
}

}  // namespace grokscope
