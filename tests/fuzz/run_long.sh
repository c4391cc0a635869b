#!/usr/bin/env bash
# Fuzzes every target (or those named) with libFuzzer, AddressSanitizer and UBSan:
#     tests/fuzz/run_long.sh [SECONDS_PER_TARGET [TARGET...]]        60 seconds where none are given
# Needs clang and its runtime: apt-get install clang libclang-rt-14-dev. New inputs are minimised
# into build/fuzz/corpus/<target>; a crash is kept as build/fuzz/crashes/<target>-... and the exit
# status is 1.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
seconds=${1:-60}
shift || true
cd "$root"
targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then
  for folder in tests/fuzz/corpus/*/; do targets+=("$(basename "$folder")"); done
fi

cmake --preset fuzz >/dev/null
cmake --build build/fuzz --target "${targets[@]/#/fuzz_}"
mkdir -p build/fuzz/crashes
export UBSAN_OPTIONS=print_stacktrace=1
failed=()
for target in "${targets[@]}"; do
  echo "== $target for $seconds s"
  program=build/fuzz/bin/fuzz_$target
  seeds=tests/fuzz/corpus/$target
  finds=build/fuzz/corpus/$target
  mkdir -p "$finds"
  # libFuzzer writes what it learns to the first folder.
  "$program" -max_total_time="$seconds" -max_len=65536 -timeout=20 -rss_limit_mb=2048 \
    -print_final_stats=1 -verbosity=0 -artifact_prefix="build/fuzz/crashes/$target-" \
    "$finds" "$seeds" || { failed+=("$target"); continue; }
  # Of the finds and the seeds, only those stay that reach code which no other reaches.
  rm -rf "$finds.all" && mv "$finds" "$finds.all" && mkdir "$finds"
  "$program" -merge=1 -verbosity=0 "$finds" "$seeds" "$finds.all"
  rm -rf "$finds.all"
  echo "   $(find "$finds" -type f | wc -l) inputs kept in $finds"
done
if [ ${#failed[@]} -gt 0 ]; then
  echo "crashed: ${failed[*]}; the inputs are in build/fuzz/crashes" >&2
  exit 1
fi
