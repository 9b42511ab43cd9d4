#include "data/cifar_images.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>

namespace grokscope {
namespace {

constexpr std::int64_t kPixels = 3072;
constexpr std::int64_t kRecord = 1 + kPixels;
constexpr std::int64_t kImagesPerFile = 10000;

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& problem, const std::string& fix) {
  throw EnvironmentError(fmt::format("{}: {}, {}", path.string(), problem, fix));
}

/// The first `n` records of a file, [n, 3073] uint8.
at::Tensor read_records(const std::filesystem::path& path, std::int64_t n, const std::string& fix) {
  std::ifstream in(path, std::ios::binary);
  if (!in) fail(path, "file not found", fix);
  std::error_code error;
  const auto size = static_cast<std::int64_t>(std::filesystem::file_size(path, error));
  if (error || size != kImagesPerFile * kRecord) {
    fail(path, fmt::format("{} bytes instead of {} (truncated or damaged)", size, kImagesPerFile * kRecord), fix);
  }
  auto records = at::empty({n, kRecord}, at::kByte);
  in.read(reinterpret_cast<char*>(records.data_ptr<std::uint8_t>()), n * kRecord);
  if (!in) fail(path, "cannot be read to its end", fix);
  const auto largest = records.select(1, 0).max().item<std::int64_t>();
  if (largest > 9) fail(path, fmt::format("a label of {} where 9 is the largest (damaged)", largest), fix);
  return records;
}

}  // namespace

Dataset read_cifar10(const std::filesystem::path& folder, const std::string& split, std::int64_t n, const std::string& fix) {
  const bool is_train = split == "train";
  require(is_train || split == "test", "CIFAR-10 has a train and a test split");
  require(n >= 0 && n <= (is_train ? 5 : 1) * kImagesPerFile, "CIFAR-10 has fewer images");
  std::vector<at::Tensor> parts{at::empty({0, kRecord}, at::kByte)};
  for (std::int64_t begin = 0; begin < n; begin += kImagesPerFile) {
    const auto name = is_train ? fmt::format("data_batch_{}.bin", begin / kImagesPerFile + 1) : "test_batch.bin";
    parts.push_back(read_records(folder / name, std::min(kImagesPerFile, n - begin), fix));
  }
  const auto records = at::cat(parts);
  const std::int64_t first_id = is_train ? 0 : 5 * kImagesPerFile;
  return {at::arange(first_id, first_id + n, at::kLong), records.slice(1, 1).contiguous(),
          records.select(1, 0).to(at::kLong)};
}

}  // namespace grokscope
