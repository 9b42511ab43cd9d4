// Which processor computes, and with how many threads?
#pragma once

#include <ATen/ATen.h>

#include <string>

namespace grokscope {

/// "auto" takes a GPU where there is one; ranks of a node share its GPUs in turn. Local.
at::Device choose_device(const std::string& wanted, int rank);

/// Sets the number of threads of LibTorch, OpenMP and OpenBLAS alike: two libraries with two threads each on one core
/// made a step 4.8 times slower. Local.
void set_threads(int threads);

/// "OpenBLAS 0.3.21 ... SkylakeX" where it can be asked, else "unknown".
std::string blas_description();

/// Model name of the processor.
std::string cpu_model();

/// Largest resident memory of this process so far, bytes.
double peak_memory_bytes();

}  // namespace grokscope
