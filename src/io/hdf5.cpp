#include "io/hdf5.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "io/durable_file.hpp"
#include "io/steady_driver.hpp"

namespace grokscope::hdf5 {
namespace {

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

/// Reads the cause of the failure that just happened; the next HDF5 call forgets it.
std::string innermost_cause() {
  std::string cause = "no reason given by HDF5";
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_innermost, &cause);
  return cause;
}

[[noreturn]] void throw_failure(const std::string& action, const std::string& where,
                                const std::string& cause) {
  throw EnvironmentError(fmt::format(
      "cannot {} {} ({}), check that the disk has space and that the file is whole", action, where, cause));
}

/// The errno with which the disk refused a call on a file, 0 when it has not.
int error_of(const std::shared_ptr<const DiskAnswer>& disk) { return disk ? disk->error : 0; }

Handle file_access() {
  prepare_library();
  Handle access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_fclose_degree(access.get(), H5F_CLOSE_SEMI);
  H5Pset_libver_bounds(access.get(), H5F_LIBVER_EARLIEST, H5F_LIBVER_LATEST);
  // No buffers for raw data: what a disk refuses shall show in the call that writes it.
  H5Pset_sieve_buf_size(access.get(), 0);
  H5Pset_cache(access.get(), 0, 0, 0, 0);
  use_steady_driver(access.get());
  return access;
}

/// Throws for a file that could not be opened: what the disk says, or else what HDF5 says.
[[noreturn]] void fail_to(const char* action, const std::filesystem::path& path) {
  const int error = take_last_error();
  if (error != 0) throw_file_error(action, path, error);
  throw_failure(action, path.string(), innermost_cause());
}

Handle open_with(const std::filesystem::path& path, unsigned flags) {
  const auto access = file_access();  // outlives the call: closing it would wipe out the reason of a failure
  take_last_error();
  Handle file(H5Fopen(path.c_str(), flags, access.get()), H5Fclose);
  if (!file.is_open()) fail_to("open", path);
  return file;
}

herr_t collect_name(hid_t, const char* name, const H5L_info_t*, void* names) {
  static_cast<std::vector<std::string>*>(names)->emplace_back(name);
  return 0;
}

bool is_link(const Handle& parent, const std::string& path) {
  const auto answer = H5Lexists(parent.get(), path.c_str(), H5P_DEFAULT);
  if (is_refused(parent.get())) fail_in("look up", parent.get(), path);
  return answer > 0;
}

void collect_datasets(const Handle& group, const std::string& prefix, std::vector<std::string>& paths) {
  for (const auto& name : list_children(group)) {
    H5L_info_t link;
    check(H5Lget_info(group.get(), name.c_str(), &link, H5P_DEFAULT), "read", group.get(), name);
    if (link.type != H5L_TYPE_HARD) continue;
    if (is_group(group, name)) {
      collect_datasets(open_group(group, name), prefix + name + "/", paths);
    } else {
      paths.push_back(prefix + name);
    }
  }
}

}  // namespace

std::string path_of(hid_t object) {
  const auto length = H5Fget_name(object, nullptr, 0);
  if (length <= 0) return "an HDF5 file";
  std::string path(static_cast<std::size_t>(length), '\0');
  H5Fget_name(object, path.data(), path.size() + 1);
  return path;
}

Handle::Handle(Handle&& other) noexcept
    : id_(std::exchange(other.id_, -1)), closer_(std::exchange(other.closer_, nullptr)) {}

Handle& Handle::operator=(Handle&& other) noexcept {
  std::swap(id_, other.id_);
  std::swap(closer_, other.closer_);
  return *this;
}

Handle::~Handle() {
  if (is_open()) closer_(id_);
}

void Handle::close() {
  if (!is_open()) return;
  const auto path = path_of(id_);
  const auto disk = disk_answer(id_);
  std::string cause;
  if (H5Iget_type(id_) == H5I_FILE && H5Fflush(id_, H5F_SCOPE_LOCAL) < 0) cause = innermost_cause();
  if (closer_(std::exchange(id_, -1)) < 0 && cause.empty()) cause = innermost_cause();
  if (const int error = error_of(disk); error != 0) throw_file_error("write", path, error);
  if (!cause.empty()) throw_failure("write", path, cause);
}

void fail_in(const char* action, hid_t parent, const std::string& name) {
  const auto cause = innermost_cause();
  const int error = error_of(disk_answer(parent));
  const auto path = path_of(parent);
  const auto where = name.empty() ? path : fmt::format("'{}' in {}", name, path);
  if (error != 0) throw_file_error(action, where, error);
  throw_failure(action, where, cause);
}

bool is_refused(hid_t object) { return error_of(disk_answer(object)) != 0; }

Handle create_file(const std::filesystem::path& path) {
  const auto access = file_access();
  take_last_error();
  Handle file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()), H5Fclose);
  if (!file.is_open()) fail_to("create", path);
  return file;
}

Handle open_file(const std::filesystem::path& path) { return open_with(path, H5F_ACC_RDONLY); }

Handle open_file_for_update(const std::filesystem::path& path) { return open_with(path, H5F_ACC_RDWR); }

Handle open_file_in_parallel(const std::filesystem::path& path, const Communicator& comm, Handle::Closer closer) {
  const auto access = file_access();
  if (H5Pset_fapl_mpio(access.get(), comm.get(), MPI_INFO_NULL) < 0) throw_failure("open in parallel", path.string(), innermost_cause());
  Handle file(H5Fopen(path.c_str(), H5F_ACC_RDWR, access.get()), closer);
  if (!file.is_open()) throw_failure("open in parallel", path.string(), innermost_cause());
  return file;
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
    if (!is_link(parent, path.substr(0, end))) return false;
  }
  return is_link(parent, path);
}

bool is_numeric(const Handle& parent, const std::string& path) {
  if (!exists(parent, path)) return false;
  H5O_info_t object;
  check(H5Oget_info_by_name(parent.get(), path.c_str(), &object, H5P_DEFAULT), "read", parent.get(), path);
  if (object.type != H5O_TYPE_DATASET) return false;
  const auto dataset = open_dataset(parent, path);
  const Handle type(H5Dget_type(dataset.get()), H5Tclose);
  const auto kind = H5Tget_class(type.get());
  return kind == H5T_INTEGER || kind == H5T_FLOAT;
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
  // In the order of the file, and sorted by us: HDF5 1.10 crashes when a read fails while it sorts.
  std::vector<std::string> names;
  check(H5Literate(group.get(), H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, collect_name, &names), "list", group.get());
  std::ranges::sort(names);
  return names;
}

std::vector<std::string> list_datasets(const Handle& group) {
  std::vector<std::string> paths;
  collect_datasets(group, "", paths);
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
  const Handle copying(H5Pcreate(H5P_OBJECT_COPY), H5Pclose);
  check(H5Pset_copy_object(copying.get(), H5O_COPY_EXPAND_EXT_LINK_FLAG | H5O_COPY_EXPAND_SOFT_LINK_FLAG), "copy", from.get(), name);
  const auto links = link_creation();
  check(H5Ocopy(from.get(), name.c_str(), to.get(), name.c_str(), copying.get(), links.get()), "copy", from.get(), name);
}

}  // namespace grokscope::hdf5
