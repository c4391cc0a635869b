// fedmesh_bench: a named list of operations inside one process. --benchmark_list_tests names them,
// --benchmark_filter=REGEX chooses, --benchmark_out=FILE writes JSON.
#include "base/crypto/keys.h"
#include "base/heap.h"
#include "tests/bench/operations.h"

int main(int argc, char** argv) {
  fedmesh::keep_freed_buffers();
  fedmesh::crypto::initialise();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  fedmesh::bench::register_crypto();
  fedmesh::bench::register_mean();
  fedmesh::bench::register_updates();
  fedmesh::bench::register_bulk();
#ifdef FEDMESH_BENCH_TRAINING
  fedmesh::bench::register_training();
#endif
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
