// How does HDF5 live with a disk that refuses?
// HDF5 1.10 cannot close a file once one of its writes has failed: it leaves objects half closed and crashes at exit, or tries
// for ever. This virtual file driver never shows it such a failure. It remembers the first one as the disk's answer, which we
// ask for; from then on it accepts everything and stores nothing, and keeps the metadata of that time so that what HDF5 reads
// back makes sense. The bytes of a file are those that HDF5's own driver writes. Short and interrupted calls are completed.
#pragma once

#include <hdf5.h>

#include <memory>

namespace grokscope::hdf5 {

/// What the disk has said to the reads and writes of one file.
struct DiskAnswer {
  int error = 0;  ///< errno of the first call that failed, 0 when there was none
};

/// Makes files that are opened with this list of access properties use the driver.
void use_steady_driver(hid_t file_access);

/// The answer so far to the open file that `object` (a file, or what is in it) belongs to, nullptr when the file does not use
/// the driver. It outlives the file, and then knows how the closing went. Local.
std::shared_ptr<const DiskAnswer> disk_answer(hid_t object);

/// Errno of the last call on any file that failed, 0 when none has since this was asked before. For an opening that failed, of
/// which no file is left to ask.
int take_last_error();

}  // namespace grokscope::hdf5
