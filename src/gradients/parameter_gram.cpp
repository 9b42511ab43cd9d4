#include "gradients/parameter_gram.hpp"

namespace grokscope {
namespace {

std::int64_t tokens_of(const Tap& tap) { return tap.uses.front().tokens; }

double macs_of(const RepeatedInputs& rows, const Tap& all_cols, const RepeatedInputs& cols) {
  return gram_macs_per_pair(rows.others()) + rows.macs_per_pair(tokens_of(all_cols)) +
         cols.macs_per_pair(tokens_of(rows.others()));
}

}  // namespace

ParameterGram::ParameterGram(TapOf rows, TapOf cols) : all_rows_(rows.tap), all_cols_(cols.tap) {
  macs_ = gram_macs_per_pair(all_rows_);
  rows_ = std::make_shared<RepeatedInputs>(rows.tap, rows.n);
  cols_ = &rows.tap == &cols.tap ? rows_ : std::make_shared<RepeatedInputs>(cols.tap, cols.n);
  const auto macs = macs_of(*rows_, all_cols_, *cols_);
  if ((rows_->empty() && cols_->empty()) || macs >= macs_) {
    rows_ = cols_ = nullptr;
  } else {
    macs_ = macs;
  }
  kernel_ = cheaper_kernel(rows_ ? rows_->others() : all_rows_);
}

void ParameterGram::add_tile(IndexRange rows, IndexRange cols, at::Tensor& tile) const {
  add_gram_tile(kernel_, rows_ ? rows_->others() : all_rows_, rows, cols_ ? cols_->others() : all_cols_, cols, tile);
}

void ParameterGram::add_repeated_rows(IndexRange rows, IndexRange cols, at::Tensor& block) const {
  if (has_repeated_rows()) rows_->add(rows, all_cols_, cols, block);
}

void ParameterGram::add_repeated_cols(IndexRange rows, IndexRange cols, at::Tensor& block) const {
  auto transposed = block.t();
  if (has_repeated_cols()) cols_->add(cols, rows_->others(), rows, transposed);
}

at::Device ParameterGram::device() const {
  const auto& use = all_rows_.uses.front();
  return (use.out.values.defined() ? use.out.values : use.in.values).device();
}

double expected_macs_per_pair(TapOf sample, std::int64_t n) {
  const auto found = RepeatedInputs::expected(sample.tap, sample.n, n);
  const auto plain = gram_macs_per_pair(sample.tap);
  return found.empty() ? plain : std::min(plain, macs_of(found, sample.tap, found));
}

}  // namespace grokscope
