// How is a matrix compressed on all ranks, and taken up where it was left?
// MPI-IO's collective writes, which filters need, hang or crash in some versions, and a file that was killed while HDF5 moved
// its chunks about cannot be repaired. So each rank packs each of its panels into a small file of its own, which is whole or
// not there; at the end the root moves the packed chunks, one row each, into one file without unpacking them.
#pragma once

#include "io/matrix_file.hpp"
#include "io/panel_journal.hpp"

namespace grokscope {

/// write_matrix_file() for spec.gzip_level > 0. Returns the hashes of all panels, on every rank. Takes
/// twice the packed bytes on the disk for a while. Throws what `start` throws. Collective over comm.
std::vector<PanelHash> write_compressed(const Communicator& comm, const std::filesystem::path& path, const std::string& name,
                                        const MatrixSpec& spec, IndexRange my_rows, std::int64_t panel_bytes,
                                        const FillRows& fill, const PanelProgress& progress,
                                        const PanelStart& start);

}  // namespace grokscope
