#include "io/matrix_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <functional>
#include <mutex>
#include <numeric>
#include <optional>
#include <thread>
#include <utility>

#include "base/hash.hpp"
#include "io/compressed_matrix.hpp"
#include "io/durable_file.hpp"
#include "io/hdf5.hpp"
#include "io/matrix_panels.hpp"
#include "io/panel_journal.hpp"
#include "io/parallel_dataset.hpp"

namespace grokscope {

namespace fs = std::filesystem;

namespace {

/// What is written at a time: still in the caches after it was rounded and hashed, and far below the 32 bits of MPI-IO's counts.
constexpr std::int64_t kWriteBytes = std::int64_t{4} << 20;

struct StoredRows {
  IndexRange rows;
  std::span<const std::byte> bytes;
};

/// Fills all panels and hands those of every rank to `store` on the root, in turn. Collective over comm.
void gather_panels(const Communicator& comm, const MatrixSpec& spec, IndexRange my_rows,
                   std::int64_t panel_bytes, const FillRows& fill,
                   const std::function<void(const StoredRows&)>& store) {
  Panels panels(comm, spec, my_rows, panel_bytes / comm.size(),
                fill);  // the root receives one from each rank
  for (std::int64_t round = 0; round < panels.rounds(); ++round) {
    std::vector<std::vector<std::byte>> send(static_cast<std::size_t>(comm.size()));
    const auto rows = panels.rows_of(round);
    comm.agree([&] {
      const auto mine = panels.stored(panels.fill(round), rows);
      send[0].assign(mine.begin(), mine.end());
    });
    const auto begins = comm.all_gather<std::int64_t>({&rows.begin, 1});
    const auto ends = comm.all_gather<std::int64_t>({&rows.end, 1});
    const auto received = comm.exchange(send);
    comm.on_root([&] {
      for (std::size_t r = 0; r < received.size(); ++r) {
        if (ends[r] > begins[r]) store({{begins[r], ends[r]}, received[r]});
      }
    });
  }
}

/// Creates the file with an empty matrix and its list of panels, and claims their space on the disk. One rank writes all
/// metadata, and from here on none is written again: whatever happens later, the file can be opened.
void create_matrix(const fs::path& path, const std::string& name, const MatrixSpec& spec, std::int64_t panels) {
  auto file = hdf5::create_file(path);
  describe_matrix(hdf5::create_dataset(file, name, spec.dtype, spec.shape()), spec);
  create_panel_list(file, panels);
  file.close();
  const FileDescriptor descriptor(path, O_RDWR);
  const auto size = static_cast<off_t>(fs::file_size(path));
  int status = ::fallocate(descriptor.get(), 0, 0, size);
  while (status != 0 && errno == EINTR) status = ::fallocate(descriptor.get(), 0, 0, size);
  const bool unsupported = errno == EOPNOTSUPP || errno == ENOSYS;
  if (status != 0 && !unsupported) throw_file_error("claim the space of", path, errno);
}

/// Whether the file was created to its end by a launch before this one.
bool can_be_taken_up(const fs::path& path, const std::string& name) {
  if (!fs::exists(path)) return false;
  try {
    const auto file = hdf5::open_file(path);
    hdf5::open_dataset(file, name);
    hdf5::open_dataset(file, kPanelList);
    return true;
  } catch (const DiskError&) {
    throw;
  } catch (const EnvironmentError&) {
    return false;
  }
}

/// Makes sure that there is a file to write to: one that a launch before this one left unfinished, or a new one, of which the
/// journals know nothing.
void prepare_matrix(const Communicator& comm, const fs::path& path, const std::string& name, const MatrixSpec& spec,
                    const Panels& panels, PanelJournal& journal) {
  bool is_usable = spec.identity != 0 && journal.is_known();
  comm.on_root([&] { is_usable = is_usable && can_be_taken_up(path, name); });
  if (comm.all(is_usable)) return;
  comm.agree([&] { journal.discard(); });  // before there is another file that it could be taken for
  const auto count = panels.count();
  comm.on_root([&] { create_matrix(path, name, spec, count); });
  comm.agree([&] { if (spec.identity != 0) journal.restart(); });
}

/// Brings what this rank has written to the disk while it forms the next panel. The calls block where a device is busy, so
/// that they have a thread of their own; it touches neither MPI nor HDF5.
class Writeback {
 public:
  /// `arrived` is called, in the thread, for each panel that has reached the disk.
  Writeback(const fs::path& path, std::function<void(const PanelHash&)> arrived)
      : file_(path, O_WRONLY), arrived_(std::move(arrived)), thread_([this](std::stop_token stop) { run(stop); }) {}

  /// The panel has been written, in the sense of the operating system.
  void add(const PanelHash& panel) {
    const std::lock_guard lock(mutex_);
    written_.push_back(panel);
    changed_.notify_all();
  }
  /// Waits for all panels. Throws what the thread met. Without it the destructor waits.
  void finish() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return (written_.empty() && !is_syncing_) || failure_; });
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void run(std::stop_token stop) {
    std::unique_lock lock(mutex_);
    while (changed_.wait(lock, stop, [&] { return !written_.empty(); })) {
      const auto panels = std::exchange(written_, {});
      is_syncing_ = true;
      lock.unlock();
      std::exception_ptr failure;
      try {
        file_.sync();
        // Nobody reads it soon: a stream of hundreds of gigabytes must not push out everything else, and fresh pages are
        // slower than used ones.
        ::posix_fadvise(file_.get(), 0, 0, POSIX_FADV_DONTNEED);
        for (const auto& panel : panels) arrived_(panel);
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      is_syncing_ = false;
      if (failure) failure_ = failure;
      changed_.notify_all();
    }
  }

  FileDescriptor file_;
  std::function<void(const PanelHash&)> arrived_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<PanelHash> written_;
  bool is_syncing_ = false;
  std::exception_ptr failure_;
  std::jthread thread_;  ///< last: it uses the others
};

/// Writes the panels' hashes where there is a place for them, and syncs.
void fill_panel_list(const fs::path& path, std::span<const PanelHash> hashes) {
  const auto list = list_panels(hashes);
  auto file = hdf5::open_file_for_update(path);
  hdf5::write_rows(hdf5::open_dataset(file, kPanelList), {0, list.shape[0]}, list.dtype, list.bytes.data());
  file.close();
  sync_file(path);
}

/// Rounds, hashes and writes a few rows at a time. Returns the hash of the panel.
PanelHash write_panel(const ParallelDataset& dataset, Panels& panels, const Panel& panel, const MatrixSpec& spec) {
  const auto row_bytes = std::max<std::int64_t>(1, spec.cols * static_cast<std::int64_t>(size_of(spec.dtype)));
  const auto height = std::max<std::int64_t>(1, kWriteBytes / row_bytes);
  HashStream hash;
  for (auto begin = panel.rows.begin; begin < panel.rows.end; begin += height) {
    const IndexRange rows{begin, std::min(begin + height, panel.rows.end)};
    const auto bytes = panels.stored(panel, rows);
    hash.add(bytes);
    dataset.write_rows(rows, spec.dtype, bytes);
  }
  return {static_cast<std::uint64_t>(panel.rows.begin), static_cast<std::uint64_t>(panel.rows.end), hash.value()};
}

/// Writes the panels of all ranks side by side, those that the journals do not know yet. Returns the hashes of all panels, on
/// every rank.
std::vector<PanelHash> write_in_parallel(const Communicator& comm, const fs::path& path,
                                         const std::string& name, const MatrixSpec& spec, IndexRange my_rows,
                                         std::int64_t panel_bytes, const FillRows& fill,
                                         const PanelProgress& progress, const PanelStart& start) {
  Panels panels(comm, spec, my_rows, panel_bytes, fill);
  auto journal = panels.journal_of(path);
  prepare_matrix(comm, path, name, spec, panels, journal);
  ParallelDataset dataset(comm, path, name);
  std::optional<Writeback> writeback;
  comm.agree([&] {
    writeback.emplace(path, [&](const PanelHash& panel) { if (spec.identity != 0) journal.add(panel); });
  });
  const auto leave = [&] {
    comm.agree([&] { writeback->finish(); });
    writeback.reset();
    dataset.close();
  };
  std::vector<std::uint64_t> mine;
  for (std::int64_t round = 0; round < panels.rounds(); ++round) {
    const auto rows = panels.rows_of(round);
    const auto* known = journal.find(rows);
    if (comm.all(known != nullptr || rows.size() == 0)) {
      if (known != nullptr) mine.insert(mine.end(), known->begin(), known->end());
      continue;
    }
    if (progress) progress(round, panels.rounds());
    try {
      if (start) start();
    } catch (const StopRequested&) {
      leave();
      throw;
    }
    comm.agree([&] {
      const auto panel = panels.fill(round);
      if (panel.rows.size() == 0) return;
      const auto hash = write_panel(dataset, panels, panel, spec);
      writeback->add(hash);
      mine.insert(mine.end(), hash.begin(), hash.end());
    });
  }
  if (progress) progress(panels.rounds(), panels.rounds());
  leave();
  const auto hashes = gather_hashes(comm, mine);
  comm.on_root([&] { fill_panel_list(path, hashes); });
  return hashes;
}

CommittedFile describe_file(const fs::path& path, std::span<const PanelHash> hashes) {
  const auto list = list_panels(hashes);
  return {path.filename().string(), static_cast<std::int64_t>(fs::file_size(path)),
          hash_bytes(list.bytes.data(), list.bytes.size()), true};
}

bool panel_is_whole(const hdf5::Handle& dataset, std::span<const std::uint64_t> panel) {
  auto shape = hdf5::shape_of(dataset);
  const auto dtype = hdf5::dtype_of(dataset);
  const IndexRange rows{static_cast<std::int64_t>(panel[0]), static_cast<std::int64_t>(panel[1])};
  shape[0] = rows.size();
  const auto elements = std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
  std::vector<std::byte> bytes(static_cast<std::size_t>(elements) * size_of(dtype));
  hdf5::read_rows(dataset, rows, dtype, bytes.data());
  return hash_bytes(bytes.data(), bytes.size()) == panel[2];
}

}  // namespace

CommittedFile write_matrix_file(const Communicator& comm, const fs::path& path, const std::string& name,
                                const MatrixSpec& spec, IndexRange my_rows, std::int64_t panel_bytes,
                                const FillRows& fill, const PanelProgress& progress, const PanelStart& start) {
  const auto write = spec.gzip_level > 0 ? write_compressed : write_in_parallel;
  const auto hashes = write(comm, path, name, spec, my_rows, panel_bytes, fill, progress, start);
  CommittedFile file;
  comm.on_root([&] { file = describe_file(path, hashes); });
  return file;
}

NamedArray gather_matrix(const Communicator& comm, const std::string& name, const MatrixSpec& spec,
                         IndexRange my_rows, std::int64_t panel_bytes, const FillRows& fill) {
  NamedArray matrix{name, spec.dtype, spec.shape(), {}, spec.description};
  if (comm.is_root()) matrix.bytes.resize(static_cast<std::size_t>(spec.bytes()));
  const auto row_bytes = spec.cols * static_cast<std::int64_t>(size_of(spec.dtype));
  gather_panels(comm, spec, my_rows, panel_bytes, fill, [&](const StoredRows& panel) {
    std::ranges::copy(panel.bytes, matrix.bytes.begin() + panel.rows.begin * row_bytes);
  });
  return matrix;
}

void verify_matrix_file(const fs::path& path, const CommittedFile& committed) {
  const auto refuse = [&](const char* why) {
    throw EnvironmentError(
        fmt::format("{} is damaged ({}), restore it or resume before it", path.string(), why));
  };
  if (static_cast<std::int64_t>(fs::file_size(path)) != committed.bytes)
    refuse("its size is not the committed one");
  const auto file = hdf5::open_file(path);
  const auto panels = hdf5::read_array(file, kPanelList);
  const auto rows = panels.values<std::uint64_t>();
  if (hash_bytes(rows.data(), rows.size_bytes()) != committed.hash)
    refuse("its panels are not the committed ones");
  for (const auto& name : hdf5::list_children(file)) {
    if (name == kPanelList || rows.empty()) continue;
    const auto dataset = hdf5::open_dataset(file, name);
    const bool whole = panel_is_whole(dataset, rows.first(3)) && panel_is_whole(dataset, rows.last(3));
    if (!whole) refuse("rows do not have the hash they were written with");
  }
}

}  // namespace grokscope
