#include "probes/factors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "data/dataset.hpp"
#include "io/hdf5.hpp"

namespace grokscope {
namespace {

struct KindName {
  Factor::Kind kind;
  const char* name;
};
constexpr std::array kKinds{KindName{Factor::Kind::dense, "dense"}, KindName{Factor::Kind::constant, "constant"},
                            KindName{Factor::Kind::one_hot, "one_hot"}, KindName{Factor::Kind::one, "one"}};

std::string name_of_kind(Factor::Kind kind) {
  for (const auto& known : kKinds) {
    if (known.kind == kind) return known.name;
  }
  throw InternalError("a factor of an unknown kind");
}

Factor::Kind kind_of(const std::string& name) {
  for (const auto& known : kKinds) {
    if (name == known.name) return known.kind;
  }
  throw EnvironmentError(fmt::format("the file has a factor of kind '{}' (it was written by another version), use the "
                                     "version that wrote it", name));
}

/// Where one factor goes, and what the file says about it.
struct Place {
  const std::string& view;
  const std::string& group;
  std::string name;  ///< out or in
  Description description;
};

void write_dense(RunWriter& writer, const Place& place, const GradientMatrix& g, const Factor& factor) {
  const auto values = factor.values.reshape({factor.values.size(0), -1}).to(at::kCPU).contiguous();
  const auto dtype = values.scalar_type() == at::kFloat ? DType::float32 : DType::float64;
  writer.write_matrix(place.view, place.group, place.name, {g.rows(), values.size(1), dtype, 0, place.description},
                      g.my_rows(), [&](IndexRange rows, std::span<double> out) {
                        const auto first = g.my_rows().begin;
                        const auto wanted = values.slice(0, rows.begin - first, rows.end - first).to(at::kDouble).contiguous();
                        std::copy_n(wanted.data_ptr<double>(), wanted.numel(), out.begin());
                      });
}

void write_index(RunWriter& writer, const Place& place, const GradientMatrix& g, const Factor& factor) {
  const auto index = factor.index.to(at::kCPU).contiguous();
  const std::span<const std::int64_t> mine(index.data_ptr<std::int64_t>(), static_cast<std::size_t>(index.numel()));
  const auto all = factor.shared_index ? std::vector<std::int64_t>(mine.begin(), mine.end())
                                       : g.comm().all_gather_uneven<std::int64_t>(mine);
  const auto tokens = index.size(1);
  writer.attach(place.view, place.group,
                NamedArray::from<std::int64_t>(place.name, {static_cast<std::int64_t>(all.size()) / tokens, tokens}, all)
                    .described(place.description));
}

void write_factor(RunWriter& writer, const Place& place, const GradientMatrix& g, const Factor& factor) {
  switch (factor.kind) {
    case Factor::Kind::dense:
      return write_dense(writer, place, g, factor);
    case Factor::Kind::constant:
      return writer.attach(place.view, place.group,
                           to_named_array(place.name, factor.values.reshape({-1})).described(place.description));
    case Factor::Kind::one_hot:
      return write_index(writer, place, g, factor);
    case Factor::Kind::one:
      return;
  }
}

void write_tap(RunWriter& writer, const std::string& view, const std::string& group, const GradientMatrix& g, const Tap& tap) {
  writer.set_group_attributes(view, group, {{"offset", tap.offset}, {"rows", tap.rows}, {"cols", tap.cols},
                                            {"has_bias", std::int64_t{tap.has_bias}}, {"n_examples", g.rows()}});
  for (std::size_t u = 0; u < tap.uses.size(); ++u) {
    const auto& use = tap.uses[u];
    const auto where = fmt::format("{}/use_{}", group, u);
    writer.set_group_attributes(view, where, {{"groups", use.groups}, {"tokens", use.tokens},
                                              {"out_kind", name_of_kind(use.out.kind)}, {"out_width", use.out.dim},
                                              {"in_kind", name_of_kind(use.in.kind)}, {"in_width", use.in.dim}});
    const auto describe = [&](const char* side, const char* meaning) -> Description {
      return {fmt::format("{} factor of the gradient with respect to {}", side, tap.parameter), "1",
              fmt::format("{}; one example a row: groups x tokens x width numbers, or the index of the only 1 of each token",
                          meaning)};
    };
    write_factor(writer, {view, where, "out", describe("outer", "gradient of the loss of the example, rows of the parameter")},
                 g, use.out);
    write_factor(writer, {view, where, "in", describe("inner", "what the parameter was multiplied with, its columns")}, g, use.in);
  }
}

std::int64_t bytes_of(const Factor& factor, std::int64_t n_taps, std::int64_t n) {
  const auto& tensor = factor.kind == Factor::Kind::one_hot ? factor.index : factor.values;
  if (!tensor.defined()) return 0;
  const auto bytes = static_cast<std::int64_t>(tensor.nbytes());
  return factor.per_example().defined() ? bytes / std::max<std::int64_t>(1, n_taps) * n : bytes;
}

/// Reads the rows of a dataset as a tensor of the type that it has.
at::Tensor read_rows(const hdf5::Handle& group, const std::string& name, IndexRange rows) {
  const auto dataset = hdf5::open_dataset(group, name);
  auto shape = hdf5::shape_of(dataset);
  const auto dtype = hdf5::dtype_of(dataset);
  shape[0] = rows.size();
  auto values = at::empty(shape, dtype == DType::float32 ? at::kFloat : dtype == DType::float64 ? at::kDouble : at::kLong);
  if (values.numel() > 0) hdf5::read_rows(dataset, rows, dtype, values.data_ptr());
  return values;
}

Factor read_factor(const hdf5::Handle& use, const Attributes& attributes, const std::string& side, IndexRange rows) {
  Factor factor;
  factor.kind = kind_of(attribute_value<std::string>(attributes, side + "_kind"));
  factor.dim = attribute_value<std::int64_t>(attributes, side + "_width");
  const auto groups = attribute_value<std::int64_t>(attributes, "groups"), tokens = attribute_value<std::int64_t>(attributes, "tokens");
  if (factor.kind == Factor::Kind::dense) factor.values = read_rows(use, side, rows).reshape({rows.size(), groups, tokens, factor.dim});
  if (factor.kind == Factor::Kind::constant) {
    factor.values = to_tensor(hdf5::read_array(use, side)).reshape({groups, tokens, factor.dim});
  }
  if (factor.kind == Factor::Kind::one_hot) {
    factor.shared_index = hdf5::shape_of(hdf5::open_dataset(use, side))[0] == 1;
    factor.index = read_rows(use, side, factor.shared_index ? IndexRange{0, 1} : rows);
  }
  return factor;
}

Tap read_tap(const hdf5::Handle& layer, const std::string& layer_name, const std::string& name, IndexRange rows) {
  const auto group = hdf5::open_group(layer, name);
  const auto facts = hdf5::read_attributes(group);
  Tap tap;
  tap.parameter = name;
  tap.layer = layer_name;
  tap.offset = attribute_value<std::int64_t>(facts, "offset");
  tap.rows = attribute_value<std::int64_t>(facts, "rows");
  tap.cols = attribute_value<std::int64_t>(facts, "cols");
  tap.has_bias = attribute_value<std::int64_t>(facts, "has_bias") != 0;
  const auto count = hdf5::list_children(group).size();
  for (std::size_t u = 0; u < count; ++u) {
    const auto use = hdf5::open_group(group, fmt::format("use_{}", u));
    const auto attributes = hdf5::read_attributes(use);
    tap.uses.push_back({read_factor(use, attributes, "out", rows), read_factor(use, attributes, "in", rows),
                        attribute_value<std::int64_t>(attributes, "groups"), attribute_value<std::int64_t>(attributes, "tokens")});
  }
  return tap;
}

Taps read_share(const Communicator& comm, const std::filesystem::path& path, const std::string& factors_path) {
  const auto file = hdf5::open_file(path);
  if (!hdf5::exists(file, factors_path)) {
    throw UserError(fmt::format("{} has no {} (storage.store_full_gop was not 'factors' there, or nothing was stored at this "
                                "epoch), rebuild from a checkpoint instead", path.string(), factors_path));
  }
  const auto root = hdf5::open_group(file, factors_path);
  Taps taps;
  for (const auto& layer_name : hdf5::list_children(root)) {
    const auto layer = hdf5::open_group(root, layer_name);
    for (const auto& name : hdf5::list_children(layer)) {
      const auto n = attribute_value<std::int64_t>(hdf5::read_attributes(hdf5::open_group(layer, name)), "n_examples");
      const auto rows = even_share(n, comm.size(), comm.rank());
      taps.n = rows.size();
      taps.taps.push_back(read_tap(layer, layer_name, name, rows));
    }
  }
  std::ranges::sort(taps.taps, {}, &Tap::offset);
  return taps;
}

}  // namespace

void write_factors(RunWriter& writer, const std::string& view, const std::string& group, const GradientMatrix& g,
                   const Layer& layer) {
  for (const auto& tap : g.mine().taps) {
    if (tap.offset >= layer.range.begin && tap.offset < layer.range.end) write_tap(writer, view, group + "/" + tap.parameter, g, tap);
  }
}

std::int64_t factor_bytes(const Taps& taps, std::int64_t n) {
  std::int64_t bytes = 0;
  for (const auto& tap : taps.taps) {
    for (const auto& use : tap.uses) bytes += bytes_of(use.out, taps.n, n) + bytes_of(use.in, taps.n, n);
  }
  return bytes;
}

GradientMatrix read_factors(const Communicator& comm, const std::filesystem::path& file, const std::string& factors_path) {
  Taps mine;
  comm.agree([&] { mine = read_share(comm, file, factors_path); });
  return GradientMatrix(comm, std::move(mine));
}

}  // namespace grokscope
