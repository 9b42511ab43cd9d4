#include "io/run_writer.hpp"

#include "base/timer.hpp"
#include "io/durable_file.hpp"
#include "io/run_books.hpp"

namespace grokscope {

RunWriter::RunWriter(const Communicator& comm, const RunDirectory& directory, Log& log, WriterOptions options)
    : comm_(comm), directory_(directory), options_(std::move(options)) {
  if (comm.is_root()) books_ = std::make_unique<Books>(directory, log, options_);
}

RunWriter::~RunWriter() = default;

std::optional<Checkpoint> RunWriter::resume() {
  std::string chosen;
  comm_.on_root([&] { chosen = books_->recover().string(); });
  chosen = comm_.broadcast_text(chosen);
  if (chosen.empty()) return std::nullopt;
  std::optional<Checkpoint> checkpoint;
  comm_.agree([&] { checkpoint = read_checkpoint(chosen); });
  return checkpoint;
}

void RunWriter::append(const Record& record) {
  if (books_) books_->append(record);
}

void RunWriter::attach(const std::string& view, const std::string& group, const NamedArray& array,
                       const Attributes& attributes) {
  if (books_) books_->pending.write(view, group, array, attributes, 0);
}

void RunWriter::set_group_attributes(const std::string& view, const std::string& group,
                                     const Attributes& attributes) {
  if (books_) books_->pending.set_attributes(view, group, attributes);
}

std::filesystem::path RunWriter::write_matrix(const std::string& view, const std::string& group, const std::string& name,
                                              const MatrixSpec& spec, IndexRange my_rows, const FillRows& fill) {
  if (spec.bytes() <= options_.own_file_bytes) {
    const auto matrix = gather_matrix(comm_, name, spec, my_rows, options_.panel_bytes, fill);
    comm_.on_root([&] { books_->pending.write(view, group, matrix, spec.attributes, spec.gzip_level); });
    return {};
  }
  std::string file_name;
  comm_.on_root([&] { file_name = books_->pending.name_matrix_file(view, group, name); });
  file_name = comm_.broadcast_text(file_name);
  const auto unfinished = directory_.work() / file_name;
  comm_.on_root([&] { make_folder(directory_.work()); });
  const auto file = write_matrix_file(comm_, unfinished, name, spec, my_rows, options_.panel_bytes, fill,
                                      books_ ? books_->show_panels_of(file_name, spec.bytes()) : PanelProgress(),
                                      options_.panel_begins);
  comm_.on_root([&] { books_->pending.add_matrix(view, group, name, file); });
  return unfinished;
}

bool RunWriter::streams(const MatrixSpec& spec) const {
  const auto in_doubles = spec.rows * spec.cols * static_cast<std::int64_t>(sizeof(double));
  return spec.bytes() > options_.own_file_bytes && in_doubles > options_.panel_bytes * comm_.size();
}

void RunWriter::link(const std::string& view, const std::string& group, const std::string& name,
                     const std::string& target) {
  if (books_) books_->pending.link(view, group, name, target);
}

void RunWriter::set_fixed_arrays(std::vector<NamedArray> arrays) {
  if (books_) books_->facts.fixed = std::move(arrays);
}

void RunWriter::set_parameters(std::vector<ParameterRow> parameters) {
  if (books_) books_->facts.parameters = std::move(parameters);
}

void RunWriter::set_summary(const std::string& group, Summary summary) {
  if (books_) books_->facts.summaries[group] = std::move(summary);
}

bool RunWriter::redefine_summary(const std::string& group, Summary summary) {
  return books_ && books_->redefine(group, std::move(summary));
}

void RunWriter::set_provenance(Attributes provenance) {
  if (!books_) return;
  auto& launches = books_->facts.launches;
  if (!books_->launch) {
    books_->launch = launches.size();
    launches.emplace_back();
  }
  launches[*books_->launch] = std::move(provenance);
}

std::optional<Attributes> RunWriter::previous_launch() const {
  if (!books_ || books_->facts.launches.empty()) return std::nullopt;
  return books_->facts.launches.back();
}

void RunWriter::commit(const Checkpoint& checkpoint) {
  const Stopwatch watch;
  comm_.on_root([&] { books_->commit(checkpoint); });
  last_commit_s_ = comm_.broadcast_value(watch.seconds());
}

void RunWriter::close() {
  if (books_) books_->drop_uncommitted();
  books_.reset();
}

}  // namespace grokscope
