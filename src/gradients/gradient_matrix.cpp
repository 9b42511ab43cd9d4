#include "gradients/gradient_matrix.hpp"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace grokscope {
namespace {

/// Applies `change` to every tensor of the taps that has a row per example.
void for_each_example_tensor(Tap& tap, const std::function<at::Tensor(const at::Tensor&)>& change) {
  for (auto& use : tap.uses) {
    for (auto* factor : {&use.out, &use.in}) {
      if (!factor->per_example().defined()) continue;
      auto& tensor = factor->kind == Factor::Kind::dense ? factor->values : factor->index;
      tensor = change(tensor);
    }
  }
}

void for_each_example_tensor(Taps& taps, const std::function<at::Tensor(const at::Tensor&)>& change) {
  for (auto& tap : taps.taps) for_each_example_tensor(tap, change);
}

/// The taps that meet one of the ranges `parameters`, as views.
Taps select_taps(const Taps& taps, std::initializer_list<IndexRange> parameters) {
  Taps result{taps.n, {}};
  std::ranges::copy_if(taps.taps, std::back_inserter(result.taps), [&](const Tap& tap) {
    return std::ranges::any_of(parameters, [&](const IndexRange& range) {
      return tap.offset < range.end && range.begin < tap.offset + tap.size();
    });
  });
  return result;
}

/// Rows of one tensor to and from every rank; rank r receives the rows of mine listed in send_rows[r].
at::Tensor exchange_rows(const Communicator& comm, const at::Tensor& mine, const std::vector<at::Tensor>& send_rows) {
  std::vector<std::vector<std::byte>> send(send_rows.size());
  for (std::size_t r = 0; r < send.size(); ++r) {
    const auto rows = mine.index_select(0, send_rows[r].to(mine.device())).to(at::kCPU).contiguous();
    const auto* bytes = static_cast<const std::byte*>(rows.data_ptr());
    send[r].assign(bytes, bytes + rows.nbytes());
  }
  const auto received = comm.exchange(send);
  std::size_t total = 0;
  for (const auto& message : received) total += message.size();
  std::int64_t row_elements = 1;
  auto shape = mine.sizes().vec();
  for (std::size_t d = 1; d < shape.size(); ++d) row_elements *= shape[d];
  const auto row_bytes = static_cast<std::size_t>(row_elements) * mine.element_size();
  shape[0] = row_bytes == 0 ? 0 : static_cast<std::int64_t>(total / row_bytes);
  auto result = at::empty(shape, mine.options().device(at::kCPU));
  auto* out = static_cast<std::byte*>(result.data_ptr());
  for (const auto& message : received) {
    if (!message.empty()) std::memcpy(out, message.data(), message.size());
    out += message.size();
  }
  return result.to(mine.device());
}

}  // namespace

GradientMatrix::GradientMatrix(const Communicator& comm, Taps mine) : comm_(&comm), mine_(std::move(mine)) {
  offsets_.push_back(0);
  for (const auto n : comm.all_gather<std::int64_t>({&mine_.n, 1})) offsets_.push_back(offsets_.back() + n);
}

IndexRange GradientMatrix::rows_of(int rank) const {
  return {offsets_[static_cast<std::size_t>(rank)], offsets_[static_cast<std::size_t>(rank) + 1]};
}

Taps GradientMatrix::fetch_rows(std::initializer_list<IndexRange> parameters,
                                const std::function<std::vector<std::int64_t>(int)>& wanted) const {
  const auto my_range = my_rows();
  std::vector<at::Tensor> send_rows;
  for (int r = 0; r < comm_->size(); ++r) {
    const auto rows = wanted(r);
    const auto first = std::lower_bound(rows.begin(), rows.end(), my_range.begin);
    const auto last = std::lower_bound(first, rows.end(), my_range.end);
    auto index = at::empty({last - first}, at::kLong);
    std::transform(first, last, index.data_ptr<std::int64_t>(), [&](auto row) { return row - my_range.begin; });
    send_rows.push_back(std::move(index));
  }
  auto result = select_taps(mine_, parameters);
  result.n = static_cast<std::int64_t>(wanted(comm_->rank()).size());
  if (comm_->size() == 1 && result.n == mine_.n) return result;
  for_each_example_tensor(result, [&](const at::Tensor& t) { return exchange_rows(*comm_, t, send_rows); });
  return result;
}

Taps concatenate_rows(const std::vector<Taps>& parts) {
  require(!parts.empty(), "no taps to concatenate");
  Taps result = parts.front();
  for (std::size_t k = 1; k < parts.size(); ++k) {
    std::vector<at::Tensor> others;
    auto other = parts[k];
    for_each_example_tensor(other, [&](const at::Tensor& t) { return others.emplace_back(t); });
    std::size_t next = 0;
    for_each_example_tensor(result, [&](const at::Tensor& t) { return at::cat({t, others[next++]}); });
    result.n += other.n;
  }
  return result;
}

Taps slice_rows(const Taps& taps, IndexRange range) {
  Taps result = taps;
  result.n = range.size();
  for_each_example_tensor(result, [&](const at::Tensor& t) { return t.slice(0, range.begin, range.end); });
  return result;
}

Tap slice_rows(const Tap& tap, IndexRange range) {
  Tap result = tap;
  for_each_example_tensor(result, [&](const at::Tensor& t) { return t.slice(0, range.begin, range.end); });
  return result;
}

}  // namespace grokscope
