#!/usr/bin/env bash
# Installs what is needed, builds, and runs a whole federation on this machine: 1 coordinator and 5 clinics as
# separate processes, trained under differential privacy and audited. --build-only stops after the build;
# other arguments go to `fedmesh demo` (for example --task digits).
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
"$root/cmake/build.sh" fedmesh fedmesh-coordinator fedmesh-worker fedmesh-trainer
[ "${1:-}" = "--build-only" ] && exit 0
exec "$root/build/release/bin/fedmesh" demo "$@"
