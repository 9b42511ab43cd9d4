// What does a viewer draw when it opens metrics.h5?
// h5web and silx draw groups that follow NeXus' NXdata convention: a signal, the axis that it runs along, and
// whether axes are logarithmic. The groups hold soft links alone, so that no number is stored twice and nothing
// that walks the datasets meets one twice.
#pragma once

#include "io/hdf5.hpp"

namespace grokscope {

/// Writes /plots/<name> for everything that `file` (a metrics.h5 whose tables are complete) has the series for, and
/// names the one to open with as the file's default. Local.
void write_plots(const hdf5::Handle& file);

}  // namespace grokscope
