#include "io/plots.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace grokscope {
namespace {

struct Plot {
  const char* name;
  const char* title;
  const char* table;                ///< with a slash at its end, "" for the tracked epochs
  std::vector<const char*> series;  ///< the first is the signal, the others are drawn with it
  const char* value_scale;          ///< "linear" or "log"
};

/// In the order of preference for the one to open with.
const std::vector<Plot>& plots() {
  static const std::vector<Plot> kPlots{
      {"accuracy", "accuracy", "training/", {"test_acc", "train_acc"}, "linear"},
      {"loss", "loss", "training/", {"train_loss", "test_loss"}, "log"},
      {"gop_trace", "trace of the GOP", "", {"gop_trace", "gop_spectral_norm", "gop_frobenius_norm"}, "log"},
      {"effective_ranks", "effective ranks of the GOP", "",
       {"gop_stable_rank", "gop_participation_ratio", "gop_entropy_rank"}, "log"},
      {"top_eigenvalues", "largest eigenvalues of the GOP", "", {"eigenvalues_top_k"}, "log"},
      {"spectrum", "all eigenvalues of the GOP", "", {"eigenvalues"}, "log"},
  };
  return kPlots;
}

/// Axes of the signal: the step, and where the signal is [T, k] an index that has no dataset.
std::vector<std::string> axes_of(const hdf5::Handle& file, const std::string& signal) {
  const auto rank = hdf5::shape_of(hdf5::open_dataset(file, signal)).size();
  std::vector<std::string> axes{"step"};
  axes.resize(rank, ".");
  return axes;
}

void write_plot(const hdf5::Handle& file, const Plot& plot, const std::vector<std::string>& series) {
  const auto path = std::string("plots/") + plot.name;
  const auto group = hdf5::require_group(file, path);
  for (const auto& name : series) hdf5::link_soft(group, name, "/" + (plot.table + name));
  hdf5::link_soft(group, "step", std::string("/") + plot.table + "step");
  const auto axes = axes_of(file, plot.table + series.front());
  std::string scales = "[\"log\"";
  for (std::size_t i = 1; i < axes.size(); ++i) scales += ", \"linear\"";
  scales += "]";
  hdf5::write_attributes(group, {{"NX_class", "NXdata"},
                                 {"title", plot.title},
                                 {"signal", series.front()},
                                 {"SILX_style", std::string("{\"signal_scale_type\": \"") + plot.value_scale +
                                                    "\", \"axes_scale_types\": " + scales +  // silx' name of it
                                                    ", \"axes_scale_type\": " + scales + "}"}});  // h5web's
  hdf5::write_text_list(group, "axes", axes);
  if (series.size() > 1) hdf5::write_text_list(group, "auxiliary_signals", std::span(series).subspan(1));
}

}  // namespace

void write_plots(const hdf5::Handle& file) {
  std::string first;
  for (const auto& plot : plots()) {
    std::vector<std::string> series;
    for (const auto* name : plot.series) {
      if (hdf5::exists(file, std::string(plot.table) + name)) series.emplace_back(name);
    }
    if (series.empty()) continue;
    if (first.empty()) first = plot.name;
    write_plot(file, plot, series);
  }
  hdf5::write_attributes(file, {{"NX_class", "NXroot"}});
  if (first.empty()) return;
  hdf5::write_attributes(file, {{"default", "plots"}});
  hdf5::write_attributes(hdf5::open_group(file, "plots"), {{"NX_class", "NXentry"}, {"default", first}});
}

}  // namespace grokscope
