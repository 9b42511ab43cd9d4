#include "io/steady_driver.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

namespace grokscope::hdf5 {
namespace {

/// A block of metadata that the disk did not take.
struct KeptBlock {
  haddr_t begin = 0;
  std::vector<char> bytes;
};

/// One open file. HDF5 sees the base class only, and hands it back.
struct SteadyFile : H5FD_t {
  int descriptor = -1;
  struct stat identity = {};
  haddr_t end_of_allocation = 0;
  haddr_t end_of_file = 0;
  std::shared_ptr<DiskAnswer> answer = std::make_shared<DiskAnswer>();
  std::vector<KeptBlock> kept;  ///< in the order of writing

  SteadyFile() : H5FD_t{} {}
};

SteadyFile& steady(H5FD_t* file) { return *static_cast<SteadyFile*>(file); }
const SteadyFile& steady(const H5FD_t* file) { return *static_cast<const SteadyFile*>(file); }

/// All open files of this process. HDF5 hands out what its driver calls the file of an object, but says which driver that is only
/// by a collective call where it is MPI-IO.
std::vector<const void*>& open_files() {
  static std::vector<const void*> files;
  return files;
}

int& last_error() {
  static int error = 0;
  return error;
}

/// Remembers the call that just failed.
void remember(SteadyFile& file) {
  last_error() = errno;
  if (file.answer->error == 0) file.answer->error = errno;
}

/// HDF5's flags in POSIX's terms.
int posix_flags(unsigned flags) {
  int result = (flags & H5F_ACC_RDWR) != 0 ? O_RDWR : O_RDONLY;
  if ((flags & H5F_ACC_TRUNC) != 0) result |= O_TRUNC;
  if ((flags & H5F_ACC_CREAT) != 0) result |= O_CREAT;
  if ((flags & H5F_ACC_EXCL) != 0) result |= O_EXCL;
  return result | O_CLOEXEC;
}

H5FD_t* open_file(const char* name, unsigned flags, hid_t, haddr_t) {
  auto file = std::make_unique<SteadyFile>();
  file->descriptor = ::open(name, posix_flags(flags), 0666);
  if (file->descriptor < 0 || ::fstat(file->descriptor, &file->identity) != 0) {
    last_error() = errno;
    if (file->descriptor >= 0) ::close(file->descriptor);
    return nullptr;
  }
  file->end_of_file = static_cast<haddr_t>(file->identity.st_size);
  open_files().push_back(file.get());
  return file.release();
}

herr_t close_file(H5FD_t* handle) {
  const std::unique_ptr<SteadyFile> file(&steady(handle));
  // Network file systems report here what they could not store.
  if (::close(file->descriptor) != 0 && errno != EINTR) remember(*file);
  std::erase(open_files(), file.get());
  return 0;
}

int compare_files(const H5FD_t* a, const H5FD_t* b) {
  const auto& first = steady(a).identity;
  const auto& second = steady(b).identity;
  if (first.st_dev != second.st_dev) return first.st_dev < second.st_dev ? -1 : 1;
  if (first.st_ino != second.st_ino) return first.st_ino < second.st_ino ? -1 : 1;
  return 0;
}

/// The same as those of HDF5's own driver, so that the layout of files is the same.
herr_t query_features(const H5FD_t*, unsigned long* flags) {
  if (flags != nullptr) {
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
             H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
  }
  return 0;
}

haddr_t get_end_of_allocation(const H5FD_t* file, H5FD_mem_t) { return steady(file).end_of_allocation; }

herr_t set_end_of_allocation(H5FD_t* file, H5FD_mem_t, haddr_t end) {
  steady(file).end_of_allocation = end;
  return 0;
}

haddr_t get_end_of_file(const H5FD_t* file, H5FD_mem_t) { return steady(file).end_of_file; }

herr_t get_handle(H5FD_t* file, hid_t, void** handle) {
  *handle = &steady(file);
  return 0;
}

/// Lays over `buffer`, the bytes from `begin` on, what the disk did not take.
void lay_over(const SteadyFile& file, haddr_t begin, std::size_t size, char* buffer) {
  for (const auto& block : file.kept) {
    const auto from = std::max(begin, block.begin);
    const auto to = std::min(begin + size, block.begin + block.bytes.size());
    if (from < to) std::memcpy(buffer + (from - begin), block.bytes.data() + (from - block.begin), to - from);
  }
}

herr_t read_block(H5FD_t* handle, H5FD_mem_t, hid_t, haddr_t begin, std::size_t size, void* buffer) {
  auto& file = steady(handle);
  auto* bytes = static_cast<char*>(buffer);
  std::size_t done = 0;
  while (done < size) {
    const auto count = ::pread(file.descriptor, bytes + done, size - done, static_cast<off_t>(begin + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      remember(file);
      return -1;
    }
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  std::fill(bytes + done, bytes + size, '\0');  // behind the end: allocated, and never written
  lay_over(file, begin, size, bytes);
  return 0;
}

/// Returns whether all bytes were taken.
bool store(const SteadyFile& file, haddr_t begin, const char* bytes, std::size_t size) {
  while (size > 0) {
    const auto count = ::pwrite(file.descriptor, bytes, size, static_cast<off_t>(begin));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    bytes += count;
    begin += static_cast<haddr_t>(count);
    size -= static_cast<std::size_t>(count);
  }
  return true;
}

herr_t write_block(H5FD_t* handle, H5FD_mem_t type, hid_t, haddr_t begin, std::size_t size, const void* buffer) {
  auto& file = steady(handle);
  const auto* bytes = static_cast<const char*>(buffer);
  if (file.answer->error == 0 && !store(file, begin, bytes, size)) remember(file);
  if (file.answer->error != 0 && type != H5FD_MEM_DRAW) file.kept.push_back({begin, {bytes, bytes + size}});
  file.end_of_file = std::max(file.end_of_file, begin + size);
  return 0;
}

/// Makes the file as long as what is allocated in it.
herr_t set_length(H5FD_t* handle, hid_t, hbool_t) {
  auto& file = steady(handle);
  if (file.end_of_allocation == file.end_of_file) return 0;
  while (file.answer->error == 0 && ::ftruncate(file.descriptor, static_cast<off_t>(file.end_of_allocation)) != 0) {
    if (errno != EINTR) remember(file);
  }
  file.end_of_file = file.end_of_allocation;
  return 0;
}

H5FD_class_t describe_driver() {
  constexpr H5FD_mem_t kDichotomy[] = H5FD_FLMAP_DICHOTOMY;  // metadata and raw data apart, as HDF5's own driver has it
  H5FD_class_t driver = {};
#ifdef H5FD_CLASS_VERSION  // from HDF5 1.14 on
  constexpr int kFirstFreeNumber = 512;
  driver.version = H5FD_CLASS_VERSION;
  driver.value = static_cast<H5FD_class_value_t>(kFirstFreeNumber);
#endif
  driver.name = "steady";
  driver.maxaddr = static_cast<haddr_t>(std::numeric_limits<off_t>::max());
  driver.fc_degree = H5F_CLOSE_WEAK;
  driver.open = open_file;
  driver.close = close_file;
  driver.cmp = compare_files;
  driver.query = query_features;
  driver.get_eoa = get_end_of_allocation;
  driver.set_eoa = set_end_of_allocation;
  driver.get_eof = get_end_of_file;
  driver.get_handle = get_handle;
  driver.read = read_block;
  driver.write = write_block;
  driver.truncate = set_length;
  std::ranges::copy(kDichotomy, driver.fl_map);
  return driver;
}

}  // namespace

void use_steady_driver(hid_t file_access) {
  static const auto driver = describe_driver();
  static const hid_t id = H5FDregister(&driver);
  H5Pset_driver(file_access, id, nullptr);
}

std::shared_ptr<const DiskAnswer> disk_answer(hid_t object) {
  const hid_t id = H5Iget_file_id(object);
  void* handle = nullptr;
  if (id >= 0) {
    H5Fget_vfd_handle(id, H5P_DEFAULT, &handle);
    H5Idec_ref(id);
  }
  if (std::ranges::find(open_files(), handle) == open_files().end()) return nullptr;
  return static_cast<const SteadyFile*>(handle)->answer;
}

int take_last_error() { return std::exchange(last_error(), 0); }

}  // namespace grokscope::hdf5
