// LibTorch in this process: threads, BLAS, devices. The network implementation behind it.
#pragma once

#include <string>
#include <vector>

namespace fedmesh::models {

struct Runtime {
  std::string torch_version;
  std::string blas;  // OpenBLAS's description of itself; empty: another BLAS answers
  std::vector<std::string> devices;  // "cpu", and "cuda" where LibTorch can use one
};

// Sets the number of threads of LibTorch and of OpenBLAS (which has its own) and describes what is
// there. Results are bit-identical from run to run at one thread only. Call once, before training.
Runtime initialise_runtime(int threads = 1);

// Debian's LibTorch calls whichever libblas.so.3 is selected; the reference one is 17 times slower.
// Empty if all is well, else a warning for the person who runs this.
std::string blas_warning(const Runtime& runtime);

}  // namespace fedmesh::models
