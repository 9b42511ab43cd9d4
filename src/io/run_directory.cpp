#include "io/run_directory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/hash.hpp"
#include "io/durable_file.hpp"
#include "io/hdf5.hpp"

namespace grokscope {

namespace fs = std::filesystem;

namespace {

/// Everything in a run directory that is ours and makes the run's results: what --fresh deletes.
constexpr std::array kResults{".segments",     ".work",       "checkpoints", "metrics.h5", "gop_full.h5",
                              "gop_layers.h5", "data.h5",     "metrics.csv", "log.txt",    "STATUS",
                              "config.yaml",   "config.json", "input.yaml"};

/// Ours as well, but kept.
constexpr std::array kKept{".lock", "plots", "analysis", "members", "study.h5"};

bool is_ours(const fs::path& entry) {
  auto name = entry.filename().string();
  if (name.ends_with(".tmp")) name.resize(name.size() - 4);
  return std::ranges::find(kResults, name) != kResults.end() || std::ranges::find(kKept, name) != kKept.end();
}

bool is_run(const fs::path& path) {
  return fs::exists(path / "config.json");
}

void refuse_foreign_files(const fs::path& path) {
  if (is_run(path)) return;
  for (const auto& entry : fs::directory_iterator(path)) {
    if (is_ours(entry.path())) continue;
    throw UserError(
        fmt::format("{} holds '{}' and no config.json (it is not a run of grokscope, and its files could be "
                    "overwritten), choose another storage.output_dir or empty it",
                    path.string(), entry.path().filename().string()));
  }
}

/// True where a configuration was written and nothing came of it: a run that failed before it trained.
bool holds_nothing(const fs::path& path) {
  const auto checkpoints = path / "checkpoints";
  const bool has_none = !fs::exists(checkpoints) || fs::is_empty(checkpoints);
  return has_none && !fs::exists(path / "data.h5") && !fs::exists(path / "study.h5") && !fs::exists(path / "members");
}

void refuse_other_run(const fs::path& path, const RunIdentity& identity,
                      const RunDirectory::ExplainDifference& explain_difference) {
  if (!is_run(path) || stored_fingerprint(path) == identity.fingerprint || holds_nothing(path)) return;
  const auto config = path / "config.yaml";
  const auto difference =
      fs::exists(config) ? explain_difference(read_text(config)) : "its config.yaml is missing";
  throw UserError(
      fmt::format("{} holds another experiment (their results would be mixed): {}\nchoose another "
                  "storage.output_dir, or replace what is there with --fresh",
                  path.string(), difference));
}

void delete_results(const fs::path& path) {
  if (!is_run(path)) return;
  stored_fingerprint(path);  // refuses a config.json of somebody else
  // STATUS goes first, and config.json last: a run that is half deleted is not done, and the directory still says whose it is.
  remove_path(path / "STATUS");
  for (const auto* name : kResults) {
    if (std::string_view(name) != "config.json") remove_path(path / name);
  }
  remove_path(path / "config.json");
}

void replace_text(const fs::path& path, const std::string& text) {
  if (!fs::exists(path) || read_text(path) != text) write_text_durably(path, text);
}

void write_configuration(const fs::path& path, const RunIdentity& identity) {
  auto config = nlohmann::ordered_json::parse(identity.resolved_json, nullptr, false);
  require(config.is_object(), "the resolved configuration is not a JSON object");
  config["fingerprint"] = identity.fingerprint;
  replace_text(path / "config.yaml", identity.resolved_yaml);
  replace_text(path / "input.yaml", identity.input_yaml);
  replace_text(path / "config.json", config.dump(2) + "\n");  // last: it makes the directory ours
}

DirectoryLock prepare(const RunDirectory& directory, const RunIdentity& identity, OpenMode mode,
                      const RunDirectory::ExplainDifference& explain_difference) {
  const auto& path = directory.path();
  make_folder(path);
  refuse_foreign_files(path);
  auto lock = DirectoryLock::acquire(path / ".lock");
  if (mode == OpenMode::fresh) delete_results(path);
  refuse_other_run(path, identity, explain_difference);
  if (identity.kind == RunIdentity::Kind::run) {
    make_folder(directory.segments());
    make_folder(directory.checkpoints());
  }
  write_configuration(path, identity);
  return lock;
}

bool same_arrays(std::span<const NamedArray> a, std::span<const NamedArray> b) {
  return a.size() == b.size() && std::ranges::all_of(a, [&](const NamedArray& array) {
           const auto* other = find_array_if_present(b, array.name);
           return other != nullptr && other->dtype == array.dtype && other->shape == array.shape &&
                  other->bytes == array.bytes;
         });
}

void write_data_file(const fs::path& path, std::span<const NamedArray> arrays) {
  const auto temporary = temporary_of(path);
  try {
    auto file = hdf5::create_file(temporary);
    for (const auto& array : arrays) hdf5::write_array(file, array.name, array);
    hdf5::write_attributes(file, {{"format", "grokscope 1"}});
    hdf5::write_attributes(file, {{"content_hash", hex(hdf5::content_hash(file))}});
    file.close();
    publish_file(temporary, path);
  } catch (const EnvironmentError&) {
    remove_path(temporary);  // it may be what fills the disk
    throw;
  }
}

}  // namespace

RunDirectory::RunDirectory(fs::path path, std::string fingerprint)
    : path_(std::move(path)), fingerprint_(std::move(fingerprint)) {}

RunDirectory RunDirectory::open(const Communicator& comm, const fs::path& path, const RunIdentity& identity,
                                OpenMode mode, const ExplainDifference& explain_difference) {
  RunDirectory directory(fs::absolute(path).lexically_normal(), identity.fingerprint);
  comm.on_root([&] {
    try {
      directory.lock_ = prepare(directory, identity, mode, explain_difference);
    } catch (const fs::filesystem_error& error) {
      throw_file_error("use", directory.path(), error.code().value());
    }
  });
  return directory;
}

void RunDirectory::write_status(const RunStatus& status) const {
  nlohmann::ordered_json text;
  text["state"] = name_of(status.state);
  text["reason"] = status.reason;
  text["exit_code"] = status.exit_code;
  for (const auto& [key, value] : status.details) {
    std::visit([&](const auto& v) { text[key] = v; }, value);
  }
  write_text_durably(path_ / "STATUS",
                     text.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

void RunDirectory::write_data(const Communicator& comm, std::span<const NamedArray> arrays) const {
  comm.on_root([&] {
    const auto path = path_ / "data.h5";
    if (!fs::exists(path)) return write_data_file(path, arrays);
    if (same_arrays(arrays, read_data(path))) return;
    throw EnvironmentError(
        fmt::format("{} is not the data of this run (the data source or its code has changed since "
                    "the run began), restore the source or start again with --fresh",
                    path.string()));
  });
}

void delete_run(const fs::path& path) {
  if (!is_run(path)) return;
  const auto lock = DirectoryLock::acquire(path / ".lock");
  delete_results(path);
}

std::optional<std::string> stored_fingerprint(const fs::path& path) {
  if (!is_run(path)) return std::nullopt;
  const auto config = nlohmann::json::parse(read_text(path / "config.json"), nullptr, false);
  if (config.is_object() && config.contains("fingerprint") && config["fingerprint"].is_string()) {
    return config["fingerprint"].get<std::string>();
  }
  throw UserError(
      fmt::format("{} is not one of ours (it has no fingerprint of a run), choose another "
                  "storage.output_dir",
                  (path / "config.json").string()));
}

std::string name_of(RunState state) {
  switch (state) {
    case RunState::running:
      return "running";
    case RunState::checkpointed:
      return "checkpointed";
    case RunState::done:
      return "done";
    case RunState::failed:
      return "failed";
  }
  throw InternalError("unknown run state");
}

std::optional<RunStatus> read_status(const fs::path& run_directory) {
  if (!fs::exists(run_directory / "STATUS")) return std::nullopt;
  const auto text = nlohmann::json::parse(read_text(run_directory / "STATUS"), nullptr, false);
  if (!text.is_object()) return std::nullopt;
  const auto state = text.value("state", "");
  for (const auto known : {RunState::running, RunState::checkpointed, RunState::done, RunState::failed}) {
    if (state == name_of(known)) return RunStatus{known, text.value("reason", ""), text.value("exit_code", 0), {}};
  }
  return std::nullopt;
}

std::vector<NamedArray> read_data(const fs::path& path) {
  const auto file = hdf5::open_file(path);
  const auto stored = attribute_value<std::string>(hdf5::read_attributes(file), "content_hash");
  if (stored != hex(hdf5::content_hash(file))) {
    throw EnvironmentError(
        fmt::format("{} is damaged (its content does not have the hash it was written with), restore "
                    "it or start again with --fresh",
                    path.string()));
  }
  std::vector<NamedArray> arrays;
  for (const auto& name : hdf5::list_datasets(file)) arrays.push_back(hdf5::read_array(file, name));
  return arrays;
}

}  // namespace grokscope
