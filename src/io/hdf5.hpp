// How does HDF5's C interface become safe to use?
// One move-only handle, and small functions over files, groups, links, arrays and attributes. HDF5's error
// stack becomes one EnvironmentError with the path; nothing is printed. Files can be read by any HDF5
// since 1.8 (earliest format, fixed-length strings, no timestamps), and carry nothing that makes equal
// contents differ in bytes.
#pragma once

#include <hdf5.h>

#include <filesystem>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "base/block_cyclic.hpp"
#include "base/named_array.hpp"
#include "comm/communicator.hpp"
#include "io/attributes.hpp"

namespace grokscope::hdf5 {

/// Owns one HDF5 identifier of any kind.
class Handle {
 public:
  using Closer = herr_t (*)(hid_t);

  Handle() = default;
  Handle(hid_t id, Closer closer) : id_(id), closer_(closer) {}
  Handle(Handle&& other) noexcept;
  Handle& operator=(Handle&& other) noexcept;
  /// Closes without a check: a file that was to be written is not to be relied on.
  ~Handle();

  hid_t get() const { return id_; }
  bool is_open() const { return id_ >= 0; }
  /// Closes, a file after flushing it, and throws EnvironmentError when something that was written to it has not arrived.
  /// Collective for a parallel file.
  void close();

 private:
  hid_t id_ = -1;
  Closer closer_ = nullptr;
};

/// The path of the file that an object is in. Local.
std::string path_of(hid_t object);

/// Throws for a failed call on an object of `parent`'s file: EnvironmentError "cannot `action` 'name' in file (innermost cause),
/// ...", a DiskError where the disk refused.
[[noreturn]] void fail_in(const char* action, hid_t parent, const std::string& name);

/// Whether the disk has refused a read or write of the file of `object`. HDF5 does not see it (steady_driver.hpp).
bool is_refused(hid_t object);

/// Returns `status`, or throws when a call on `name` in `parent`'s file failed, or the disk refused what it wrote. A new
/// identifier is returned in any case, so that it gets an owner: the next call throws.
template <class Status>
Status check(Status status, const char* action, hid_t parent, const std::string& name = "") {
  const bool is_identifier = std::is_same_v<Status, hid_t>;
  if (status < 0 || (!is_identifier && is_refused(parent))) fail_in(action, parent, name);
  return status;
}

/// A new file in the place of what was there. Local.
Handle create_file(const std::filesystem::path& path);
/// Opens for reading, or for change. Local.
Handle open_file(const std::filesystem::path& path);
Handle open_file_for_update(const std::filesystem::path& path);

/// Opens a file through MPI-IO; all ranks must close it, as `closer` does it. Whatever needs metadata (groups, attributes, new
/// datasets) is better done by one rank before or after. See parallel_dataset.hpp. Collective over comm.
Handle open_file_in_parallel(const std::filesystem::path& path, const Communicator& comm, Handle::Closer closer);

/// Properties of a new link: UTF-8, and groups above it are created where they are missing.
Handle link_creation();

/// Opens a group, creating it and those above it where they are missing.
Handle require_group(const Handle& parent, const std::string& path);
Handle open_group(const Handle& parent, const std::string& path);
bool exists(const Handle& parent, const std::string& path);
bool is_group(const Handle& parent, const std::string& name);
/// True where `path` is a dataset of integers or floating numbers.
bool is_numeric(const Handle& parent, const std::string& path);

/// Names of the direct children, sorted; links that lead nowhere are listed too.
std::vector<std::string> list_children(const Handle& group);

/// Paths, relative to `group`, of all datasets below it; does not follow external links.
std::vector<std::string> list_datasets(const Handle& group);

/// Removes a name, and what only it leads to.
void unlink(const Handle& parent, const std::string& path);

/// Makes `path` lead to the absolute path `target` of the same file, there or not, external link or not.
void link_soft(const Handle& parent, const std::string& path, const std::string& target);

/// Makes `path` lead to `target` in another file. A relative `file` is looked up beside the file that holds
/// the link.
void link_external(const Handle& parent, const std::string& path, const std::string& file,
                   const std::string& target);

/// Copies the dataset or group `name` with everything below it; what links lead to is copied in their
/// place.
void copy_whole(const Handle& from, const std::string& name, const Handle& to);

/// Writes one array with its description, creating the groups above it. `gzip_level` 0 means contiguous and
/// uncompressed.
void write_array(const Handle& parent, const std::string& path, const NamedArray& array,
                 const Attributes& attributes = {}, int gzip_level = 0);
NamedArray read_array(const Handle& parent, const std::string& path);

/// A list of texts as fixed-length UTF-8.
void write_texts(const Handle& parent, const std::string& path, std::span<const std::string> texts,
                 const Description& description = {});
std::vector<std::string> read_texts(const Handle& parent, const std::string& path);

/// A dataset that is filled by rows; its place in the file is taken at once when it is not compressed.
Handle create_dataset(const Handle& parent, const std::string& path, DType dtype,
                      std::span<const std::int64_t> shape, int gzip_level = 0);
/// The same, compressed, one row a chunk.
Handle create_packed_dataset(const Handle& parent, const std::string& path, DType dtype,
                             std::span<const std::int64_t> shape, int gzip_level);
/// Copies all rows of a dataset of that kind, packed as they are, to the rows from `first` on of another one. Local.
void copy_packed_rows(const Handle& from, const Handle& to, std::int64_t first);
Handle open_dataset(const Handle& parent, const std::string& path);
std::vector<std::int64_t> shape_of(const Handle& dataset);
DType dtype_of(const Handle& dataset);

/// Writes or reads the rows `rows` (first axis); `values` holds them row-major in `dtype`. Independent, so
/// local even in a parallel file: whole rows are one stretch of bytes, and MPI-IO's collective buffering has
/// nothing to add.
void write_rows(const Handle& dataset, IndexRange rows, DType dtype, const void* values);
void read_rows(const Handle& dataset, IndexRange rows, DType dtype, void* values);

/// Writes attributes of a group, dataset or file, replacing those of the same name.
void write_attributes(const Handle& object, const Attributes& attributes);
/// Writes a list of texts as one attribute, fixed-length UTF-8, replacing one of the same name.
void write_text_list(const Handle& object, const std::string& name, std::span<const std::string> texts);
bool has_attribute(const Handle& object, const std::string& name);
/// Writes long_name, units and definition; nothing where there is no description.
void write_description(const Handle& dataset, const Description& description);
/// Reads what write_description wrote; empty where that is nothing.
Description read_description(const Handle& dataset);
/// Reads the attributes of the kinds that write_attributes writes, sorted by name.
Attributes read_attributes(const Handle& object);

/// A scalar dataset for a number or text, a vector for a list.
void write_value(const Handle& parent, const std::string& path, const Attribute& value,
                 const Description& description);

/// Hashes names, shapes, values and attributes of everything below `group`, but for the attribute
/// `content_hash` of `group` itself. Of an external link only the name counts.
std::uint64_t content_hash(const Handle& group);

}  // namespace grokscope::hdf5
