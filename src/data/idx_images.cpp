#include "data/idx_images.hpp"

#include <fmt/format.h>

#include <array>
#include <fstream>

namespace grokscope {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, const std::string& problem, const std::string& fix) {
  throw EnvironmentError(fmt::format("{}: {}, {}", path.string(), problem, fix));
}

std::int64_t read_big_endian(std::istream& in) {
  std::array<unsigned char, 4> bytes{};
  in.read(reinterpret_cast<char*>(bytes.data()), 4);
  std::int64_t value = 0;
  for (const unsigned char byte : bytes) value = value << 8 | byte;
  return value;
}

}  // namespace

at::Tensor read_idx(const std::filesystem::path& path, const std::string& fix) {
  std::ifstream in(path, std::ios::binary);
  if (!in) fail(path, "file not found", fix);
  const std::int64_t magic = read_big_endian(in);
  const std::int64_t dimensions = magic & 0xff;
  if (!in || magic >> 8 != 0x08 || dimensions < 1 || dimensions > 3) {
    fail(path, "not an IDX file of unsigned bytes (its first four bytes are wrong)", fix);
  }
  std::vector<std::int64_t> shape;
  std::int64_t count = 1;
  for (std::int64_t d = 0; d < dimensions; ++d) {
    shape.push_back(read_big_endian(in));
    count *= shape.back();
  }
  const auto header = static_cast<std::int64_t>(4 + 4 * dimensions);
  std::error_code error;
  const auto size = static_cast<std::int64_t>(std::filesystem::file_size(path, error));
  if (!in || error || size != header + count) {
    fail(path, fmt::format("{} bytes where its header promises {} (truncated or damaged)", size, header + count), fix);
  }
  auto tensor = at::empty(shape, at::kByte);
  in.read(reinterpret_cast<char*>(tensor.data_ptr<std::uint8_t>()), count);
  if (!in) fail(path, "cannot be read to its end", fix);
  return tensor;
}

Dataset read_idx_pair(const std::filesystem::path& folder, const std::string& prefix, std::int64_t first_id,
                      std::optional<std::int64_t> n, const std::string& fix) {
  const auto images = read_idx(folder / (prefix + "-images-idx3-ubyte"), fix);
  const auto labels = read_idx(folder / (prefix + "-labels-idx1-ubyte"), fix);
  if (images.dim() != 3 || labels.dim() != 1 || images.size(0) != labels.size(0)) {
    fail(folder / prefix, fmt::format("{} images but {} labels", images.size(0), labels.size(0)), fix);
  }
  const auto there = images.size(0), wanted = n.value_or(there);
  if (wanted > there) fail(folder / prefix, fmt::format("{} images, {} are asked for", there, wanted), fix);
  return {at::arange(first_id, first_id + wanted, at::kLong), images.reshape({there, -1}).slice(0, 0, wanted),
          labels.slice(0, 0, wanted).to(at::kLong)};
}

}  // namespace grokscope
