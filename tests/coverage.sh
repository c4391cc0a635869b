#!/usr/bin/env bash
# Line coverage of our own code: builds the preset `coverage` in build/coverage, runs the tests there, and prints the
# share of lines per top-level folder and the files below 70 %. Needs gcovr (Debian package gcovr) beside what
# tests/run.sh installs.
#
# Left out are e2e/crash, whose processes are killed and a killed process leaves no counters; bench, which checks
# nothing; and RoundMemoryTest, which measures memory, and counters are memory.
# A line that only runs between fork and exec, or before a kill, counts as not run.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
"$root/cmake/install_packages.sh"
command -v gcovr >/dev/null || {
  echo "gcovr is missing: apt-get install gcovr" >&2
  exit 1
}
jobs=${FEDMESH_JOBS:-$(nproc)}
cmake --preset coverage >/dev/null
cmake --build build/coverage --parallel "$jobs"
status=0
# measure NAME CTEST_ARGUMENTS: the tests that they choose, into counters of their own.
measure() {
  find build/coverage -name '*.gcda' -delete
  ctest --test-dir build/coverage --output-on-failure --parallel "$jobs" "${@:2}" || status=$?
  gcovr --root "$root" --object-directory build/coverage --exclude 'tests/' --exclude 'build/' \
    --gcov-ignore-parse-errors -j "$jobs" --json "build/coverage/$1.json" build/coverage
}
# A process that is killed while it writes its counters can spoil them for all that come later, so the tests that start
# processes are counted apart.
processes='^(e2e|e2e/faults)$|^worker/trainer\.'
measure units --exclude-regex "^e2e/crash\$|^bench\$|RoundMemoryTest|$processes"
measure processes --tests-regex "$processes"
gcovr --root "$root" --add-tracefile build/coverage/units.json --add-tracefile build/coverage/processes.json \
  --txt build/coverage/coverage.txt --json-summary build/coverage/coverage.json
python3 - build/coverage/coverage.json <<'PYTHON'
import collections, json, sys

files = json.load(open(sys.argv[1]))["files"]
folders = collections.defaultdict(lambda: [0, 0, 0])
for file in files:
    for name in (file["filename"].split("/")[0], "all"):
        for i, count in enumerate((1, file["line_covered"], file["line_total"])):
            folders[name][i] += count
print(f"{'folder':<14}{'files':>6}{'lines':>8}{'run':>8}{'share':>9}")
for name, (count, covered, lines) in sorted(folders.items(), key=lambda item: (item[0] == "all", item[0])):
    print(f"{name:<14}{count:>6}{lines:>8}{covered:>8}{100 * covered / lines:>7.1f} %")
low = sorted((100 * file["line_covered"] / file["line_total"], file["filename"], file["line_total"])
             for file in files if file["line_total"] and file["line_covered"] < 0.7 * file["line_total"])
print(f"files below 70 %: {len(low)}")
for share, name, lines in low:
    print(f"{share:>7.1f} %  {name} ({lines} lines)")
PYTHON
echo "per file, with the lines that did not run: build/coverage/coverage.txt"
exit "$status"
