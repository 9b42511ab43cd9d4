#include "data/teacher_student.hpp"

#include "base/random.hpp"

namespace grokscope {

at::Tensor gaussian_matrix(std::int64_t rows, std::int64_t columns, std::uint64_t seed, const std::string& stream) {
  auto matrix = at::empty({rows, columns}, at::kDouble);
  double* values = matrix.data_ptr<double>();
  for (std::int64_t i = 0; i < rows; ++i) {
    RandomStream row(seed, stream, 0, static_cast<std::uint64_t>(i));
    for (std::int64_t j = 0; j < columns; ++j) *values++ = row.normal();
  }
  return matrix;
}

Dataset teacher_examples(const TeacherStudentSizes& sizes, const at::Tensor& teacher, std::uint64_t seed,
                         const std::string& stream, std::int64_t first_id) {
  auto inputs = gaussian_matrix(sizes.n, sizes.d_in, seed, stream);
  auto targets = inputs.matmul(teacher);
  return {at::arange(first_id, first_id + sizes.n, at::kLong), std::move(inputs), std::move(targets)};
}

}  // namespace grokscope
