#include "data/dataset.hpp"

#include "base/random.hpp"

namespace grokscope {
namespace {

at::ScalarType scalar_type(DType dtype) {
  switch (dtype) {
    case DType::float32: return at::kFloat;
    case DType::float64: return at::kDouble;
    case DType::int64: return at::kLong;
    case DType::uint8: return at::kByte;
    case DType::uint64: break;
  }
  throw InternalError("no tensor type for uint64");
}

DType dtype_of_tensor(const at::Tensor& tensor) {
  switch (tensor.scalar_type()) {
    case at::kFloat: return DType::float32;
    case at::kDouble: return DType::float64;
    case at::kLong: return DType::int64;
    case at::kByte: return DType::uint8;
    default: throw InternalError("tensor type has no NamedArray twin");
  }
}

}  // namespace

Dataset Dataset::rows(IndexRange range) const {
  return {ids.slice(0, range.begin, range.end), inputs.slice(0, range.begin, range.end),
          targets.slice(0, range.begin, range.end)};
}

Dataset Dataset::select(const at::Tensor& positions) const {
  return {ids.index_select(0, positions), inputs.index_select(0, positions), targets.index_select(0, positions)};
}

Dataset Dataset::to(at::Device device) const { return {ids.to(device), inputs.to(device), targets.to(device)}; }

std::vector<NamedArray> Dataset::arrays(const std::string& prefix) const {
  std::vector<NamedArray> result;
  const auto add = [&](const char* name, const at::Tensor& tensor, Description description) {
    result.push_back(to_named_array(prefix + "/" + name, tensor).described(std::move(description)));
  };
  add("ids", ids, {"ids of the " + prefix + " examples", "1", "never change, whatever the split or the order"});
  add("inputs", inputs, {"inputs of the " + prefix + " examples", "1", "what the model is given, one example a row"});
  add("targets", targets, {"targets of the " + prefix + " examples", "1",
                           "what the loss compares the outputs with, one example a row: a class, or values"});
  return result;
}

DataSplits split_at_random(const Dataset& all, std::int64_t train_count, std::uint64_t seed) {
  require(train_count >= 1 && train_count <= all.size(), "train_count outside 1..n");
  auto order = random_permutation(all.size(), RandomStream(seed, "split"));
  const auto positions = at::from_blob(order.data(), {all.size()}, at::kLong);
  return {all.select(positions.slice(0, 0, train_count)), all.select(positions.slice(0, train_count))};
}

NamedArray to_named_array(std::string name, const at::Tensor& tensor) {
  const auto host = tensor.detach().to(at::kCPU).contiguous();
  NamedArray array{std::move(name), dtype_of_tensor(host), host.sizes().vec(), {}};
  array.bytes.resize(host.nbytes());
  if (host.nbytes() > 0) std::memcpy(array.bytes.data(), host.data_ptr(), host.nbytes());
  return array;
}

at::Tensor to_tensor(const NamedArray& array) {
  auto tensor = at::empty(array.shape, scalar_type(array.dtype));
  if (!array.bytes.empty()) std::memcpy(tensor.data_ptr(), array.bytes.data(), array.bytes.size());
  return tensor;
}

}  // namespace grokscope
