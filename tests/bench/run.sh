#!/usr/bin/env bash
# Takes every measurement and writes the table "Measured" in README.md anew: a few minutes, on a quiet machine.
# FEDMESH_BENCH_BIN=DIR measures programs that are built already. JSON goes to build/bench/ (or $FEDMESH_BENCH_OUT).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
out=${FEDMESH_BENCH_OUT:-$root/build/bench}
bin=${FEDMESH_BENCH_BIN:-$root/build/release/bin}
mkdir -p "$out"
if [ -z "${FEDMESH_BENCH_BIN:-}" ]; then
  "$root/cmake/build.sh" fedmesh fedmesh-coordinator fedmesh-worker fedmesh-trainer fedmesh_bench fedmesh_bench_trainer
fi
# Debian's own interpreter is the one that python3-torch belongs to.
python=/usr/bin/python3
[ -x "$python" ] || python=python3

# Debian's PyTorch calls whichever BLAS is selected; the comparison is with OpenBLAS, as the trainer links it.
pytorch() {
  local openblas
  openblas=$(ls /usr/lib/*/openblas-pthread/libopenblas.so.0 2>/dev/null | head -n 1)
  OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 LD_PRELOAD="$openblas" "$python" "$here/pytorch_cnn.py" | tee "$out/$1"
}

# As a worker starts its trainer (worker/trainer/child_process.cpp): Debian's OpenBLAS does not know
# newer processors. PyTorch is given the same kernels.
if [ -z "${OPENBLAS_CORETYPE:-}" ]; then
  if grep -qw avx512vl /proc/cpuinfo; then export OPENBLAS_CORETYPE=SkylakeX
  elif grep -qw avx2 /proc/cpuinfo; then export OPENBLAS_CORETYPE=Haswell; fi
fi

# Operations take turns, so that a figure and its reference see the same load.
operations() {
  local min_time=$1 filter=$2 file=$3
  "$bin/fedmesh_bench" --benchmark_filter="$filter" --benchmark_min_time="$min_time" --benchmark_repetitions=5 \
    --benchmark_enable_random_interleaving=true --benchmark_report_aggregates_only=true \
    --benchmark_out="$out/$file" --benchmark_out_format=json | grep -E '_median' || true
}

pytorch pytorch_before.json
operations 1 '^training/(task|pure)' training.json
pytorch pytorch_after.json
# The program links OpenBLAS for the lines above. Here nothing calls it, but its threads would spin on
# the cores that are measured.
export OPENBLAS_NUM_THREADS=1
operations 0.2 '^(crypto|mean|memory|update|noise)' operations.json
operations 0.1 '^bulk' bulk.json
status=0
"$python" "$here/processes.py" "$bin" "$out/processes.json" || status=1
"$python" "$here/table.py" "$out" "$root/README.md"
exit "$status"
