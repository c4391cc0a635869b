#!/usr/bin/env bash
# Installs what is needed, builds everything and runs every test. --build-only stops after the build.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
start=$SECONDS
"$root/cmake/build.sh"
echo "== built in $((SECONDS - start)) s"
[ "${1:-}" = "--build-only" ] && exit 0

cd "$root"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
ctest --test-dir build/release --output-on-failure --parallel "$(nproc)" --schedule-random |
  tee "$log" | grep -vE '^ *[0-9]+/[0-9]+ Test +#[0-9]+: .* Passed|^ +Start ' || status=${PIPESTATUS[0]}

skipped=$(grep -cE '\*\*\*Skipped' "$log" || true)
if [ "$skipped" -gt 0 ]; then
  echo "== skipped tests and why"
  grep -oE '[^ ]+ \.+\*\*\*Skipped' "$log" | sed 's/ \.*\*\*\*Skipped//' | sort | while read -r name; do
    reason=$(ctest --test-dir build/release -V -R "^${name//./\\.}\$" 2>/dev/null |
      grep -A1 -E 'Skipped$' | sed -n 's/^[0-9]*: //p' | grep -v 'Skipped$' | head -n 1)
    echo "   $name: ${reason:-see its source}"
  done
fi
total=$((SECONDS - start))
echo "== install, build and tests took $total s"
if [ "${CI:-}" = true ] && [ "$total" -gt 3000 ]; then
  echo "over the limit of 3000 s for continuous integration" >&2
  status=1
fi
grep -E '% tests passed' "$log" | tail -n 1
exit "$status"
