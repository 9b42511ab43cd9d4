// A viewer that knows only NeXus finds signal, axis and scale, and the numbers behind them.
#include "io/plots.hpp"

#include <gtest/gtest.h>

#include <cstdlib>

#include "io/folder_test.hpp"
#include "io/table.hpp"

namespace grokscope {
namespace {

class PlotsTest : public FolderTest {
 protected:
  /// Writes the rows as a metrics.h5 and holds `assertions` (h5py, the file is `f`) against it.
  void expect(const TableBuffer& rows, const std::string& assertions) {
    auto file = hdf5::create_file(folder.path() / "metrics.h5");
    rows.write(file);
    write_plots(file);
    file.close();
    const auto code = "import h5py; f = h5py.File('" + (folder.path() / "metrics.h5").string() + "', 'r')\n" + assertions;
    EXPECT_EQ(std::system((std::string(GROKSCOPE_PYTHON) + " -c \"" + code + "\"").c_str()), 0) << assertions;
  }
};

Record row(std::int64_t epoch, const std::string& table = "") { return {table, epoch, 10 * epoch, {}}; }

TEST_F(PlotsTest, SignalAxesAndScales) {
  TableBuffer rows;
  for (const std::int64_t epoch : {0, 1, 2}) {
    auto tracked = row(epoch);
    tracked.set({"gop_trace", "trace", "1", "tr C"}, 7.0 + static_cast<double>(epoch));
    tracked.set({"eigenvalues_top_k", "largest", "1", "of C"}, std::vector<double>{3, 2});
    rows.append(tracked);
    auto evaluation = row(5 * epoch, "training");
    evaluation.set({"train_acc", "accuracy", "1", "share"}, 0.5);
    evaluation.set({"test_acc", "accuracy", "1", "share"}, 0.25);
    rows.append(evaluation);
  }
  expect(rows,
         "assert f.attrs['NX_class'] == b'NXroot' and f.attrs['default'] == b'plots'\n"
         "assert f['plots'].attrs['NX_class'] == b'NXentry' and f['plots'].attrs['default'] == b'accuracy'\n"
         "assert set(f['plots']) == {'accuracy', 'gop_trace', 'top_eigenvalues'}, set(f['plots'])\n"
         "a = f['plots/accuracy']\n"
         "assert a.attrs['NX_class'] == b'NXdata' and a.attrs['signal'] == b'test_acc'\n"
         "assert a.attrs['axes'].tolist() == [b'step'] and a.attrs['auxiliary_signals'].tolist() == [b'train_acc']\n"
         "assert a['step'][:].tolist() == [0, 50, 100] and a['test_acc'][:].tolist() == [0.25] * 3\n"
         "import json; style = json.loads(a.attrs['SILX_style'])\n"
         "scales = ['axes_scale_types', 'axes_scale_type']\n"
         "assert style == {'signal_scale_type': 'linear'} | dict.fromkeys(scales, ['log']), style\n"
         "t = f['plots/top_eigenvalues']\n"
         "assert t.attrs['axes'].tolist() == [b'step', b'.'] and 'auxiliary_signals' not in t.attrs\n"
         "assert t['step'][:].tolist() == [0, 10, 20] and t['eigenvalues_top_k'].shape == (3, 2)\n"
         "style = json.loads(t.attrs['SILX_style'])\n"
         "assert style == {'signal_scale_type': 'log'} | dict.fromkeys(scales, ['log', 'linear']), style\n"
         "assert f['plots/gop_trace/gop_trace'][:].tolist() == [7, 8, 9]\n"
         "seen = []; f.visit(seen.append)\n"
         "assert not [n for n in seen if n.startswith('plots/') and n.count('/') > 1], seen\n");
}

TEST_F(PlotsTest, AFileWithoutRowsHasNone) {
  expect({}, "assert 'plots' not in f and 'default' not in f.attrs and f.attrs['NX_class'] == b'NXroot'\n");
}

}  // namespace
}  // namespace grokscope
