// What has been measured, and from which moment on can nothing take it away?
// Probes and the training loop hand over records, arrays and matrices; commit() makes them, and the training
// state, survive as one. The rename of the checkpoint is the commit, and nothing else is: segments that no
// checkpoint lists do not exist, and metrics.h5, gop_full.h5 and gop_layers.h5 are derived.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.hpp"
#include "base/record.hpp"
#include "io/checkpoint.hpp"
#include "io/matrix_file.hpp"
#include "io/retention.hpp"
#include "io/run_directory.hpp"
#include "io/run_facts.hpp"

namespace grokscope {

struct WriterOptions {
  std::int64_t own_file_bytes = 64'000'000;  ///< a larger matrix gets a file of its own, written in parallel
  std::int64_t panel_bytes = 64'000'000;     ///< buffer of each rank while a matrix is written
  Retention retention;                       ///< of checkpoints; the center is said by keep_around()
  Attributes root_attributes;   ///< of every published file
  PanelStart panel_begins = {};  ///< called before each panel of a large matrix is formed, on all ranks at once
};

class RunWriter {
 public:
  /// `comm`, `directory` and `log` must outlive the writer. Local.
  RunWriter(const Communicator& comm, const RunDirectory& directory, Log& log, WriterOptions options = {});
  ~RunWriter();
  RunWriter(const RunWriter&) = delete;
  RunWriter& operator=(const RunWriter&) = delete;

  /// Returns to the newest commit that is whole, on every rank, or to the beginning when there is none;
  /// everything after it is deleted and the views are written anew. A damaged commit is skipped with a
  /// warning; throws EnvironmentError when there are checkpoints and all are damaged, or when the disk does not answer (then
  /// nothing is changed). Call it once, before anything else. Collective over comm.
  std::optional<Checkpoint> resume();

  /// Adds a row. Rows of the table "training" also go to metrics.csv at once. Local; the root's call counts.
  void append(const Record& record);

  /// Adds an array to `view` ("gop_full" or "gop_layers"), group "epoch_1000" or "epoch_1000/embed". All
  /// groups of one epoch must belong to one commit. Local; the root's call counts.
  void attach(const std::string& view, const std::string& group, const NamedArray& array,
              const Attributes& attributes = {});
  void set_group_attributes(const std::string& view, const std::string& group, const Attributes& attributes);

  /// Adds a matrix, filled by rows; ranks hold contiguous rows in rank order. A large one is written here and
  /// now, with at most options.panel_bytes of doubles in memory on each rank; a small one is gathered. When spec.identity is
  /// given, a large one that a killed or stopped launch left unfinished is taken up where it was. Returns the file that a large
  /// one has of its own, where it can be read (as dataset `name`) until the next commit; "" for a small one. Throws what
  /// options.panel_begins throws. Collective over comm.
  std::filesystem::path write_matrix(const std::string& view, const std::string& group, const std::string& name,
                    const MatrixSpec& spec, IndexRange my_rows, const FillRows& fill);

  /// Whether writing such a matrix takes more than one panel on some rank: long enough that the caller should commit what it
  /// follows from before, so that it can be taken up. The same on every rank. Local.
  bool streams(const MatrixSpec& spec) const;

  /// Shows `target` ("gop_full/epoch_1000/gop", a dataset or a group) in `view`, `group` as well, as `name`. Both
  /// must belong to one commit. Local; the root's call counts.
  void link(const std::string& view, const std::string& group, const std::string& name,
            const std::string& target);

  /// Sets what every file says about the run. Summaries and launches survive a resume; set_summary replaces
  /// the group's earlier one, set_provenance describes this launch. Local; the root's call counts.
  void set_parameters(std::vector<ParameterRow> parameters);
  /// Arrays for the root of metrics.h5 that hold for the whole run, such as tracked_ids. Every launch gives them again.
  void set_fixed_arrays(std::vector<NamedArray> arrays);
  void set_summary(const std::string& group, Summary summary);
  void set_provenance(Attributes provenance);
  /// Shows `summary` in metrics.h5 in place of the committed one where its names or definitions are others, and says whether.
  /// The checkpoint keeps what was committed. Local; the root's call counts.
  bool redefine_summary(const std::string& group, Summary summary);
  /// What the launch before this one said of itself, nothing where there was none. Before set_provenance; the root's answer
  /// counts.
  std::optional<Attributes> previous_launch() const;

  /// From now on the checkpoints around this epoch are kept, as options.retention says. Local; the root's call counts.
  void keep_around(std::int64_t epoch) { options_.retention.center = epoch; }

  /// Makes everything so far, and the root's `checkpoint`, survive as one. Collective over comm.
  void commit(const Checkpoint& checkpoint);

  /// Wall time of the last commit: the root's, the same on every rank. Local.
  double last_commit_s() const { return last_commit_s_; }

  /// Drops what is not committed and lets go of the files. Local.
  void close();

 private:
  class Books;

  const Communicator& comm_;
  const RunDirectory& directory_;
  WriterOptions options_;
  std::unique_ptr<Books> books_;  ///< on the root only
  double last_commit_s_ = 0;
};

}  // namespace grokscope
