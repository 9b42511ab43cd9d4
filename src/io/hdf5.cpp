#include "io/hdf5.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "io/durable_file.hpp"

namespace grokscope::hdf5 {
namespace {

/// More than the groups, headers and attributes take that one call adds to a file.
constexpr std::uint64_t kMostMetadata = 1 << 20;

/// Silences HDF5, and keeps it from closing files at exit: after a full disk it would try forever.
void prepare_library() {
  static const bool ready = [] {
    H5dont_atexit();
    H5open();
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    return true;
  }();
  static_cast<void>(ready);
}

herr_t keep_innermost(unsigned, const H5E_error2_t* entry, void* text) {
  if (entry->desc != nullptr) *static_cast<std::string*>(text) = entry->desc;
  return 1;  // the first entry upward is the innermost: stop
}

/// Cuts "file write failed: time = ..., errno = 28, error message = 'No space left on device', ..." down to
/// what matters.
std::string shorten(const std::string& cause) {
  constexpr std::string_view marker = "error message = '";
  const auto begin = cause.find(marker);
  if (begin == std::string::npos) return cause;
  const auto text = cause.substr(begin + marker.size());
  return text.substr(0, text.find('\''));
}

/// Reads the cause of the failure that just happened; the next HDF5 call forgets it.
std::string innermost_cause() {
  std::string cause = "no reason given by HDF5";
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_innermost, &cause);
  return shorten(cause);
}

std::string path_of(hid_t object) {
  const auto length = H5Fget_name(object, nullptr, 0);
  if (length <= 0) return "an HDF5 file";
  std::string path(static_cast<std::size_t>(length), '\0');
  H5Fget_name(object, path.data(), path.size() + 1);
  return path;
}

[[noreturn]] void throw_failure(const std::string& action, const std::string& where,
                                const std::string& cause) {
  throw EnvironmentError(fmt::format(
      "cannot {} {} ({}), check that the disk has space and that the file is whole", action, where, cause));
}

Handle file_access() {
  prepare_library();
  Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fclose_degree(access.get(), H5F_CLOSE_SEMI);
  H5Pset_libver_bounds(access.get(), H5F_LIBVER_EARLIEST, H5F_LIBVER_LATEST);
  // No buffers for raw data: a full disk must show in the write, not in the close of a dataset, which then
  // stays open.
  H5Pset_sieve_buf_size(access.get(), 0);
  H5Pset_cache(access.get(), 0, 0, 0, 0);
#if H5_VERSION_GE(1, 10, 7)
  // The run directory has its own lock; HDF5's would fail on file systems without locks and where a reader is
  // at work.
  H5Pset_file_locking(access.get(), false, true);
#endif
  return access;
}

Handle open_with(const std::filesystem::path& path, unsigned flags, const Handle& access) {
  Handle file(H5Fopen(path.c_str(), flags, access.get()), H5Fclose);
  if (!file.is_open()) fail("open", path.string());
  return file;
}

Handle create_with(const std::filesystem::path& path, const Handle& access) {
  Handle file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()), H5Fclose);
  if (!file.is_open()) fail("create", path.string());
  return file;
}

herr_t collect_name(hid_t, const char* name, const H5L_info_t*, void* names) {
  static_cast<std::vector<std::string>*>(names)->emplace_back(name);
  return 0;
}

herr_t collect_dataset(hid_t, const char* path, const H5O_info_t* object, void* paths) {
  if (object->type == H5O_TYPE_DATASET) static_cast<std::vector<std::string>*>(paths)->emplace_back(path);
  return 0;
}

hid_t driver_of(hid_t file) {
  const Handle access(H5Fget_access_plist(file), H5Pclose);
  return H5Pget_driver(access.get());
}

/// Turns every write of this process to the file behind `descriptor` into one to memory, which is forgotten.
void divert(int descriptor) {
  const int memory = ::memfd_create("refused", MFD_CLOEXEC);
  if (memory < 0) return;
  ::dup2(memory, descriptor);
  ::close(memory);
}

/// The open files of this process that have this path.
std::vector<int> descriptors_of(const std::string& path) {
  std::error_code ignored;
  const auto wanted = std::filesystem::canonical(path, ignored);
  std::vector<int> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", ignored)) {
    if (std::filesystem::read_symlink(entry.path(), ignored) == wanted) found.push_back(std::stoi(entry.path().filename()));
  }
  return found;
}

/// Lets HDF5 close a file on the disk that the disk refused: what it still holds goes to memory and is forgotten. Without this
/// H5Fclose fails half-way, and HDF5 crashes in MPI_Finalize on what is left; of a parallel file it writes its metadata on
/// rank 0 while the others wait, for ever when that fails. MPI-IO keeps its descriptor to itself, so that it is found by its
/// path.
void forget_unwritten(hid_t file) {
  const auto driver = driver_of(file);
  if (driver == H5FD_MPIO) {
    for (const int descriptor : descriptors_of(path_of(file))) divert(descriptor);
  }
  void* descriptor = nullptr;
  if (driver != H5FD_SEC2 || H5Fget_vfd_handle(file, H5P_DEFAULT, &descriptor) < 0 || descriptor == nullptr) return;
  divert(*static_cast<int*>(descriptor));
}

/// Bytes that the datasets below `name` take, links followed.
std::uint64_t stored_bytes(const Handle& parent, const std::string& name) {
  const Handle object(check(H5Oopen(parent.get(), name.c_str(), H5P_DEFAULT), "open", parent.get(), name), H5Oclose);
  if (H5Iget_type(object.get()) == H5I_DATASET) return H5Dget_storage_size(object.get());
  std::uint64_t bytes = 0;
  for (const auto& child : list_children(object)) bytes += stored_bytes(object, child);
  return bytes;
}

bool is_changeable_file(hid_t id) {
  if (H5Iget_type(id) != H5I_FILE) return false;
  unsigned intent = H5F_ACC_RDONLY;
  H5Fget_intent(id, &intent);
  return intent != H5F_ACC_RDONLY;
}

/// Writes a file that lives in memory to the disk.
void store(const Handle& file, const std::filesystem::path& path) {
  void* place = nullptr;
  check(H5Fget_vfd_handle(file.get(), H5P_DEFAULT, &place), "write", file.get());
  const auto size = H5Fget_file_image(file.get(), nullptr, 0);
  if (size < 0) fail("write", path.string());
  const std::string_view bytes(*static_cast<char**>(place), static_cast<std::size_t>(size));
  FileDescriptor(path, O_WRONLY | O_CREAT | O_TRUNC).write(bytes);
}

}  // namespace

Handle::Handle(Handle&& other) noexcept
    : id_(std::exchange(other.id_, -1)), closer_(std::exchange(other.closer_, nullptr)) {}

Handle& Handle::operator=(Handle&& other) noexcept {
  std::swap(id_, other.id_);
  std::swap(closer_, other.closer_);
  return *this;
}

Handle::~Handle() {
  if (!is_open()) return;
  if (is_changeable_file(id_)) forget_unwritten(id_);
  closer_(id_);
}

void Handle::close() {
  if (!is_open()) return;
  const auto path = path_of(id_);
  if (is_changeable_file(id_)) {
    const auto driver = driver_of(id_);
    if (driver == H5FD_SEC2 || driver == H5FD_CORE) flush(*this);
    if (driver == H5FD_CORE) store(*this, path);
  }
  if (closer_(std::exchange(id_, -1)) < 0) fail("close", path);
}

void fail(const std::string& action, const std::string& where) {
  throw_failure(action, where, innermost_cause());
}

void fail_in(const char* action, hid_t parent, const std::string& name) {
  const auto cause = innermost_cause();
  const auto path = path_of(parent);
  throw_failure(action, name.empty() ? path : fmt::format("'{}' in {}", name, path), cause);
}

Handle create_file(const std::filesystem::path& path) {
  constexpr std::size_t kGrowth = 1 << 20;
  const auto access = file_access();
  H5Pset_fapl_core(access.get(), kGrowth, false);
  return create_with(path, access);
}

Handle create_file_on_disk(const std::filesystem::path& path) { return create_with(path, file_access()); }

Handle open_file(const std::filesystem::path& path) {
  return open_with(path, H5F_ACC_RDONLY, file_access());
}

Handle open_file_for_update(const std::filesystem::path& path) {
  return open_with(path, H5F_ACC_RDWR, file_access());
}

Handle open_file_for_update(const std::filesystem::path& path, const Communicator& comm) {
  const auto access = file_access();
  if (H5Pset_fapl_mpio(access.get(), comm.get(), MPI_INFO_NULL) < 0) fail("open in parallel", path.string());
  return open_with(path, H5F_ACC_RDWR, access);
}

void require_room(const Handle& object, std::uint64_t bytes) {
  struct rlimit limit = {};
  if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return;
  const hid_t file = H5Iget_file_id(object.get());
  hsize_t size = 0;
  check(H5Fget_filesize(file, &size), "read the size of", object.get());
  H5Idec_ref(file);
  if (size + bytes + kMostMetadata <= limit.rlim_cur) return;
  throw_failure("write", path_of(object.get()),
                fmt::format("it would pass the limit of {:.1f} MB on the size of files, ulimit -f",
                            static_cast<double>(limit.rlim_cur) / 1e6));
}

void flush(const Handle& file) {
  check(H5Fflush(file.get(), H5F_SCOPE_GLOBAL), "write", file.get());
}

Handle link_creation() {
  Handle links(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
  H5Pset_create_intermediate_group(links.get(), 1);
  H5Pset_char_encoding(links.get(), H5T_CSET_UTF8);
  return links;
}

Handle require_group(const Handle& parent, const std::string& path) {
  if (path.empty() || path == "/") return open_group(parent, "/");
  if (exists(parent, path)) return open_group(parent, path);
  const auto links = link_creation();
  return {check(H5Gcreate2(parent.get(), path.c_str(), links.get(), H5P_DEFAULT, H5P_DEFAULT), "create group",
                parent.get(), path),
          H5Gclose};
}

Handle open_group(const Handle& parent, const std::string& path) {
  return {check(H5Gopen2(parent.get(), path.c_str(), H5P_DEFAULT), "open group", parent.get(), path),
          H5Gclose};
}

bool exists(const Handle& parent, const std::string& path) {
  // H5Lexists fails, rather than says no, when a group above is missing.
  for (auto end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1)) {
    if (H5Lexists(parent.get(), path.substr(0, end).c_str(), H5P_DEFAULT) <= 0) return false;
  }
  return H5Lexists(parent.get(), path.c_str(), H5P_DEFAULT) > 0;
}

bool is_group(const Handle& parent, const std::string& name) {
  H5L_info_t link;
  check(H5Lget_info(parent.get(), name.c_str(), &link, H5P_DEFAULT), "read", parent.get(), name);
  if (link.type != H5L_TYPE_HARD) return false;
  H5O_info_t object;
  check(H5Oget_info_by_name(parent.get(), name.c_str(), &object, H5P_DEFAULT), "read", parent.get(), name);
  return object.type == H5O_TYPE_GROUP;
}

std::vector<std::string> list_children(const Handle& group) {
  std::vector<std::string> names;
  check(H5Literate(group.get(), H5_INDEX_NAME, H5_ITER_INC, nullptr, collect_name, &names), "list",
        group.get());
  return names;
}

std::vector<std::string> list_datasets(const Handle& group) {
  std::vector<std::string> paths;
  check(H5Ovisit2(group.get(), H5_INDEX_NAME, H5_ITER_INC, collect_dataset, &paths, H5O_INFO_BASIC), "list",
        group.get());
  return paths;
}

void link_soft(const Handle& parent, const std::string& path, const std::string& target) {
  const auto links = link_creation();
  check(H5Lcreate_soft(target.c_str(), parent.get(), path.c_str(), links.get(), H5P_DEFAULT), "create link",
        parent.get(), path);
}

void link_external(const Handle& parent, const std::string& path, const std::string& file,
                   const std::string& target) {
  const auto links = link_creation();
  check(
      H5Lcreate_external(file.c_str(), target.c_str(), parent.get(), path.c_str(), links.get(), H5P_DEFAULT),
      "create link", parent.get(), path);
}

void unlink(const Handle& parent, const std::string& path) {
  check(H5Ldelete(parent.get(), path.c_str(), H5P_DEFAULT), "remove", parent.get(), path);
}

void copy_whole(const Handle& from, const std::string& name, const Handle& to) {
  require_room(to, stored_bytes(from, name));
  const Handle copying(H5Pcreate(H5P_OBJECT_COPY), H5Pclose);
  check(H5Pset_copy_object(copying.get(), H5O_COPY_EXPAND_EXT_LINK_FLAG | H5O_COPY_EXPAND_SOFT_LINK_FLAG), "copy", from.get(), name);
  const auto links = link_creation();
  check(H5Ocopy(from.get(), name.c_str(), to.get(), name.c_str(), copying.get(), links.get()), "copy", from.get(), name);
}

}  // namespace grokscope::hdf5
