// How is a GOP kept without its bytes?
// By the factors of the per-example gradients, from which any block of (1/N) G^T G is rebuilt exactly. Below
// .../factors/<layer>/<parameter>/ (attributes offset, rows, cols, has_bias: where the parameter stands in the flat vector;
// a bias follows its weight and is the last column of the inner factor) there is one group use_<u> for each use of the
// parameter by the model (attributes groups, tokens, and for each side kind and width), and in it out and in:
//   g_i[r d_out + a, b] = sum over uses and tokens t of out[i, r, t, a] in[i, r, t, b]   for group r of the rows
// kind dense: [N, groups tokens width], one example a row; constant: [groups tokens width], the same for all examples;
// one_hot: [N, tokens] (or [1, tokens]), the index of the only 1; one: no dataset, the number 1.
#pragma once

#include <filesystem>
#include <string>

#include "gradients/gradient_matrix.hpp"
#include "io/run_writer.hpp"

namespace grokscope {

/// Writes the factors of the parameters in `layer` to `view`, group `group` (".../factors/<layer>"), in the type that they
/// have. Collective over the communicator of `g`.
void write_factors(RunWriter& writer, const std::string& view, const std::string& group, const GradientMatrix& g,
                   const Layer& layer);

/// Bytes that write_factors() takes for n examples like those of `taps`, all layers together.
std::int64_t factor_bytes(const Taps& taps, std::int64_t n);

/// Reads this rank's share of the factors of the group `factors_path` of a file, one group a layer, back into taps; their
/// order is that of the flat vector. Throws UserError when the file has none. Collective over comm.
GradientMatrix read_factors(const Communicator& comm, const std::filesystem::path& file, const std::string& factors_path);

}  // namespace grokscope
