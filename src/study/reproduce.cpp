#include "study/reproduce.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <set>

#include "base/text.hpp"
#include "config/assign.hpp"
#include "config/document.hpp"
#include "io/column_file.hpp"
#include "io/durable_file.hpp"
#include "study/study.hpp"
#include "study/study_table.hpp"

namespace grokscope {
namespace {

namespace fs = std::filesystem;

/// One line of the table.
struct Row {
  std::string paper;          ///< "08_doshi_polynomials"
  std::string configuration;  ///< "configs/quick/08_doshi_polynomials.yaml"
  std::string claim;          ///< the experiment's, in words
  Verdict verdict;
  std::string judgement;  ///< holds, missed, failed, no claim, not run
  double walltime_s = kMissing;
  std::string commit;
};

/// What one configuration gave, on the root.
struct Reproduction {
  std::vector<Verdict> verdicts;
  std::string paper, claim, problem;
  double walltime_s = 0;
  std::string commit;
  ExitCode code = ExitCode::done;
};

std::string number_of(const fs::path& file) {
  const auto name = file.filename().string();
  const bool numbered = name.size() > 3 && std::isdigit(static_cast<unsigned char>(name[0])) &&
                        std::isdigit(static_cast<unsigned char>(name[1])) && name[2] == '_';
  return numbered && file.extension() == ".yaml" ? name.substr(0, 2) : "";
}

void describe(Reproduction& r, const RunConfiguration& c) {
  r.paper = c.experiment.name;
  r.claim = c.task->info().claim;
}

void add_origin(Reproduction& r, const fs::path& run_directory) {
  if (!fs::exists(run_directory / "metrics.h5")) return;
  const auto origin = read_origin(run_directory / "metrics.h5");
  r.walltime_s += origin.walltime_s;
  r.commit = origin.commit;
}

void reproduce_study(const Communicator& world, const fs::path& file, const SessionOptions& session,
                     Experiments experiments, Reproduction& r) {
  std::unique_ptr<StudyConfiguration> study;
  world.agree([&] { study = load_study(file, {}, experiments); });
  describe(r, *study->members.front().configuration);
  const auto result = run_study(world, *study, session);
  world.on_root([&] {
    r.verdicts = result.verdicts;
    for (const auto& member : study->members) add_origin(r, study->run_directory / "members" / member.name);
  });
  r.problem = result.problem;
  r.code = result.code;
}

void reproduce_run(const Communicator& world, const fs::path& file, const SessionOptions& session,
                   Experiments experiments, Reproduction& r) {
  std::unique_ptr<RunConfiguration> configuration;
  world.agree([&] { configuration = load_configuration(file, {}, experiments); });
  describe(r, *configuration);
  const auto result = run_session(world, *configuration, session);
  world.on_root([&] {
    r.verdicts = result.verdicts;
    add_origin(r, configuration->run_directory);
  });
}

/// Runs one configuration; what it fails of is recorded where all ranks know it and another may still run.
Reproduction reproduce(const Communicator& world, const fs::path& file, const SessionOptions& session,
                       Experiments experiments) {
  Reproduction r;
  r.paper = file.stem().string();
  bool study = false;
  try {
    world.agree([&] { study = is_study(file); });
    (study ? reproduce_study : reproduce_run)(world, file, session, experiments, r);
  } catch (const Error& error) {
    const bool is_shared = error.on_all_ranks() || world.size() == 1;
    const bool is_foreseen = error.code() == ExitCode::user || error.code() == ExitCode::environment;
    if (!is_shared || !is_foreseen) throw;
    r.problem = error.what();
    r.code = error.code();
  }
  return r;
}

std::vector<Row> rows_of(const Reproduction& r, const fs::path& file) {
  std::vector<Row> rows;
  const auto add = [&](const Verdict& verdict, const std::string& judgement) {
    rows.push_back({r.paper, file.string(), r.claim, verdict, judgement, r.walltime_s, r.commit});
  };
  for (const auto& verdict : r.verdicts) add(verdict, verdict.met ? "holds" : "missed");
  if (!r.problem.empty()) add({"", "", r.problem, kMissing, false, "", "", "", ""}, "failed");
  if (rows.empty()) add({}, "no claim");
  return rows;
}

/// Of a configuration whose turn has not come: a table that is cut short says of what.
Row not_run(const fs::path& file) { return {file.stem().string(), file.string(), "", {}, "not run", kMissing, ""}; }

/// A bar or a line break would end a Markdown cell.
std::string cell(const std::string& text) {
  std::string out;
  for (const char c : text)
    out += c == '|' ? std::string("\\|") : c == '\n' ? std::string("; ") : std::string(1, c);
  return out;
}

std::string markdown(const std::vector<Row>& rows) {
  std::string text =
      "# Claims against results\n\n| configuration | claim | quantity | paper | ours | must be | source | "
      "verdict "
      "| wall time | commit |\n"
      "|---|---|---|---|---|---|---|---|---|---|\n";
  std::string before;
  for (const auto& row : rows) {
    const bool is_first = row.configuration != before;  // a run is told once
    before = row.configuration;
    text += fmt::format(
        "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n", is_first ? cell(row.configuration) : "",
        is_first ? cell(row.claim) : "", cell(row.verdict.what), cell(row.verdict.paper),
        cell(row.verdict.found), cell(row.verdict.wanted), cell(row.verdict.basis()), row.judgement,
        is_first && row.walltime_s >= 0 ? format_duration(row.walltime_s) : "", is_first ? row.commit.substr(0, 12) : "");
  }
  const auto missed =
      std::count_if(rows.begin(), rows.end(), [](const Row& row) { return row.judgement == "missed"; });
  const auto failed =
      std::count_if(rows.begin(), rows.end(), [](const Row& row) { return row.judgement == "failed"; });
  const auto held =
      std::count_if(rows.begin(), rows.end(), [](const Row& row) { return row.judgement == "holds"; });
  return text +
         fmt::format(
             "\n{} claims hold, {} are missed, {} runs failed. Wall times are those of all launches of a run "
             "together.\n",
             held, missed, failed);
}

std::vector<FileColumn> columns_of(const std::vector<Row>& rows) {
  const auto texts = [&](const std::function<std::string(const Row&)>& of) {
    std::vector<std::string> column;
    for (const auto& row : rows) column.push_back(of(row));
    return column;
  };
  std::vector<double> numbers, times;
  for (const auto& row : rows) {
    numbers.push_back(row.verdict.number);
    times.push_back(row.walltime_s);
  }
  return {
      {{"paper", "paper", "1", "the experiment"}, texts([](const Row& r) { return r.paper; })},
      {{"configuration", "configuration", "1", "the file that was run"},
       texts([](const Row& r) { return r.configuration; })},
      {{"claim", "claim", "1", "what the paper showed, in words"},
       texts([](const Row& r) { return r.claim; })},
      {{"quantity", "quantity", "1", "what is compared"}, texts([](const Row& r) { return r.verdict.what; })},
      {{"paper_says", "the paper's result", "1",
        "what the paper says of the quantity, empty where it gives no number"},
       texts([](const Row& r) { return r.verdict.paper; })},
      {{"expected", "expected", "1", "how it must compare"},
       texts([](const Row& r) { return r.verdict.wanted; })},
      {{"source", "source", "1", "where the claim stands, the seeds that its bound was seen on, and why the bound is wider"},
       texts([](const Row& r) { return r.verdict.basis(); })},
      {{"ours", "our result", "1", "the number, or why there is none"},
       texts([](const Row& r) { return r.verdict.found; })},
      {{"value", "our result", "1", "the number, NaN where there is none"}, numbers},
      {{"verdict", "verdict", "1", "holds, missed, failed, no claim or not run"},
       texts([](const Row& r) { return r.judgement; })},
      {{"walltime", "wall time", "s", "of the whole run, over all its launches"}, times},
      {{"commit", "commit", "1", "of the program that ran last"},
       texts([](const Row& r) { return r.commit; })}};
}

void write_table(const ReproduceOptions& options, const std::vector<Row>& rows) {
  const auto table = table_of(options).string();
  make_folder(fs::path(table).parent_path());
  write_text_durably(table + ".md", markdown(rows));
  publish_columns(table + ".h5", columns_of(rows),
                  {{"rows", static_cast<std::int64_t>(rows.size())}});
}

/// All NN_*.yaml of a folder, sorted.
std::vector<fs::path> numbered_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!number_of(entry.path()).empty()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

/// Those that reproduce.yaml lists, in its order; all NN_*.yaml where there is no such file.
std::vector<fs::path> listed_in(const fs::path& folder) {
  const auto list = folder / "reproduce.yaml";
  if (!fs::exists(list)) return numbered_in(folder);
  std::vector<std::string> names;
  Schemas schemas;
  schemas.section("").add("configurations", names, "what `grokscope reproduce` runs").required();
  assign(load_document(list), schemas);
  std::vector<fs::path> files;
  for (const auto& name : names) {
    files.push_back(folder / name);
    if (number_of(files.back()).empty() || !fs::exists(files.back())) {
      throw UserError(fmt::format(
          "{}: '{}' is no configuration NN_*.yaml of that folder (there would be nothing to run), "
          "correct the name",
          list.string(), name));
    }
  }
  return files;
}

/// The files of one paper.
std::vector<fs::path> of_paper(const std::string& number, const std::vector<fs::path>& files) {
  std::vector<fs::path> chosen;
  std::copy_if(files.begin(), files.end(), std::back_inserter(chosen), [&](const fs::path& f) { return number_of(f) == number; });
  return chosen;
}

/// "03" for "3", sorted, each once.
std::set<std::string> normalised(const std::vector<std::string>& numbers) {
  std::set<std::string> all;
  for (const auto& number : numbers) all.insert(number.size() == 1 ? "0" + number : number);
  return all;
}

}  // namespace

fs::path table_of(const ReproduceOptions& options) {
  std::string name = "reproduce";
  for (const auto& number : normalised(options.numbers)) name += "_" + number;
  return (options.quick ? options.results / "quick" : options.results) / name;
}

std::vector<fs::path> chosen_configurations(const ReproduceOptions& options) {
  const auto folder = options.quick ? options.configs / "quick" : options.configs;
  if (!fs::is_directory(folder)) {
    throw UserError(fmt::format(
        "{} is not a folder (configurations are looked for there), start in the folder that holds "
        "configs/ or give --configs",
        folder.string()));
  }
  const auto listed = listed_in(folder);
  if (options.numbers.empty()) return listed;
  std::vector<fs::path> chosen;  // papers in order, each once
  std::vector<std::string> unknown;
  for (const auto& number : normalised(options.numbers)) {
    auto files = of_paper(number, listed);
    if (std::none_of(files.begin(), files.end(), [&](const fs::path& f) { return f.parent_path() == folder; })) {
      const auto own = of_paper(number, numbered_in(folder));  // too large to be run unasked
      files.insert(files.end(), own.begin(), own.end());
    }
    if (files.empty()) unknown.push_back(number);
    chosen.insert(chosen.end(), files.begin(), files.end());
  }
  if (!unknown.empty()) {
    throw UserError(fmt::format(
        "no configuration {}/NN_*.yaml for {} (a paper is named by its number), 'ls {}' shows them",
        folder.string(), join(unknown, ", "), folder.string()));
  }
  return chosen;
}

ExitCode run_reproduction(const Communicator& world, const ReproduceOptions& options,
                          const SessionOptions& session, Experiments experiments) {
  std::vector<fs::path> files;
  world.agree([&] { files = chosen_configurations(options); });
  const Stopwatch watch;
  std::vector<Row> rows;
  auto code = ExitCode::done;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const auto& file = files[i];
    auto this_session = session;
    if (session.max_time_s) this_session.max_time_s = std::max(0.0, *session.max_time_s - watch.seconds());
    const auto result = reproduce(world, file, this_session, experiments);
    if (code == ExitCode::done) code = result.code;
    world.on_root([&] {
      for (auto& row : rows_of(result, file)) rows.push_back(std::move(row));
      auto table = rows;
      std::transform(files.begin() + static_cast<std::ptrdiff_t>(i) + 1, files.end(), std::back_inserter(table), not_run);
      write_table(options, table);
    });
  }
  const bool missed =
      std::any_of(rows.begin(), rows.end(), [](const Row& row) { return row.judgement == "missed"; });
  if (world.is_root()) fmt::print("\n{}", markdown(rows));
  if (world.any(missed) && code == ExitCode::done) code = ExitCode::internal;
  return code;
}

}  // namespace grokscope
