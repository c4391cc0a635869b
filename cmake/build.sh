#!/usr/bin/env bash
# Configures and builds into build/release; both user scripts call it. Arguments: CMake targets (default: all).
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
"$root/cmake/install_packages.sh"
cd "$root"
if [ ! -f build/release/build.ninja ]; then
  echo "== configuring"
  cmake --preset release >/dev/null
fi
echo "== building"
cmake --build build/release --target "${@:-all}"
