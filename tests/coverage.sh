#!/usr/bin/env bash
# Line coverage of our own code: builds the preset `coverage` in build/coverage, runs every test there, and prints
# the share of lines per folder. Needs gcovr (Debian package gcovr) beside what tests/run.sh installs.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
"$root/cmake/install_packages.sh"
command -v gcovr >/dev/null || {
  echo "gcovr is missing: apt-get install gcovr" >&2
  exit 1
}
cmake --preset coverage >/dev/null
cmake --build build/coverage
find build/coverage -name '*.gcda' -delete
status=0
ctest --test-dir build/coverage --output-on-failure --parallel "$(nproc)" --timeout 600 || status=$?
gcovr --root "$root" --object-directory build/coverage --exclude 'tests/' --exclude 'build/' \
  --gcov-ignore-parse-errors -j "$(nproc)" --txt build/coverage/coverage.txt --txt-summary
echo "per file: build/coverage/coverage.txt"
exit "$status"
