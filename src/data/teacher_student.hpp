// What does a fixed linear teacher say about Gaussian inputs?
#pragma once

#include "data/dataset.hpp"

namespace grokscope {

struct TeacherStudentSizes {
  std::int64_t d_in = 1000;
  std::int64_t d_out = 1;
  std::int64_t n = 1111;
};

/// Standard normal matrix from the named counter-based stream, float64; row i depends on i only, so that a longer draw
/// begins with the shorter one.
at::Tensor gaussian_matrix(std::int64_t rows, std::int64_t columns, std::uint64_t seed, const std::string& stream);

/// Inputs x_i ~ N(0, I) [n, d_in] and targets y_i = T^T x_i [n, d_out] for the teacher T [d_in, d_out], float64; ids are
/// first_id + i. Different streams give disjoint (independent) draws.
Dataset teacher_examples(const TeacherStudentSizes& sizes, const at::Tensor& teacher, std::uint64_t seed,
                         const std::string& stream, std::int64_t first_id);

}  // namespace grokscope
