// How does a distributed matrix get to where it is needed next?
// Every function here is a bitwise copy: elements are packed, exchanged and unpacked in an order that both
// sides derive from the two layouts. Our own instead of pdgemr2d, which allocates with 32-bit byte counts and
// wants a context over both grids. Works in panels of columns, so that the messages need little memory beside
// the matrices.
#pragma once

#include <vector>

#include "linalg/distributed_matrix.hpp"

namespace grokscope {

/// Copies the lower triangle of a square matrix into the upper one; does nothing to a full matrix. Collective
/// over the matrix's communicator. O(n^2 / ranks) elements are sent.
void mirror_lower(DistributedMatrix& matrix);

/// Returns a copy on another grid over the same communicator (members may differ) with another block size.
/// Collective over the communicator.
DistributedMatrix move_to(const DistributedMatrix& matrix, const ProcessGrid& grid, std::int64_t nb);

/// Returns the lower triangle of the square block whose rows and columns are `range`, on the same grid. Memory per rank: its
/// piece of the block, and messages as above. Collective over the communicator.
DistributedMatrix diagonal_block(const DistributedMatrix& matrix, IndexRange range, std::int64_t nb);

/// Returns the matrix column-major on rank 0 (what lies outside the stored triangle is copied too, and means
/// nothing), an empty vector elsewhere. Memory on rank 0: 8 rows cols bytes. Collective over the matrix's
/// communicator.
std::vector<double> gather_to_root(const DistributedMatrix& matrix);

/// The same for any rank.
std::vector<double> gather_to(const DistributedMatrix& matrix, int rank);

}  // namespace grokscope
